/**
 * The tests of src/subscription in one process, the quick ones first, since the first failure ends it. A new one is named here too.
 * The funnel's are a reader's of the counts, and so with the metrics.
 */
import '../subscription/state.test.ts'
import '../subscription/ledger.test.ts'
import '../observe/funnel.test.ts'
import '../subscription/roster.test.ts'
