import type { Case } from '../case.ts'
import { addressCases } from './addresses.ts'
import { authenticationCases } from './authentication.ts'
import { forgedCases } from './forged.ts'
import { limitCases } from './limits.ts'
import { namespaceCases } from './namespaces.ts'
import { presenceChildrenCases, presenceTypeCases } from './presence.ts'
import { smugglingCases } from './smuggling.ts'
import { starttlsCases } from './starttls.ts'
import { utf8Cases } from './utf8.ts'
import { websocketCases } from './websocket.ts'
import { xmlCases } from './xml.ts'

/** Every case that a real server plays a part in. */
export const cases: readonly Case[] = [
  ...xmlCases,
  ...utf8Cases,
  ...smugglingCases,
  ...namespaceCases,
  ...presenceTypeCases,
  ...presenceChildrenCases,
  ...addressCases,
  ...limitCases,
  ...authenticationCases,
  ...websocketCases,
  ...starttlsCases,
  ...forgedCases,
]
