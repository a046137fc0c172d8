/** The tests of the subscription room in one process, the quick ones first: the first failure ends it. A new one is named here too. */
import '../subscription/state.test.ts'
import '../subscription/ledger.test.ts'
import '../subscription/roster.test.ts'
