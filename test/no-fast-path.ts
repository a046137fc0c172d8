/** Loaded before a test by `npm test -- --no-fast-path`: in this process every stanza is parsed and written anew. */
import { fastPath } from '../src/xml/reader.ts'

fastPath.isOn = false
