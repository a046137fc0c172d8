/** The whole gate with a rule of its own: `node gate.js stanzagate.yaml`. */
import { ConfigError, readConfig, startProxy } from 'stanzagate'
import { linksNeedAContact } from './links-need-a-contact.js'

const file = process.argv[2] ?? 'stanzagate.yaml'
const ownRules = [linksNeedAContact]
try {
  const proxy = await startProxy(readConfig(file, ownRules), { ownRules, reread: () => readConfig(file, ownRules) })
  process.on('SIGHUP', () => void proxy.reload())
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => void proxy.stop())
  for (const { name, address, port } of proxy.listeners) console.log(`${name} listens at ${address}:${port}`)
  if (proxy.admin !== undefined) console.log(`admin listens at ${proxy.admin.address}:${proxy.admin.port}`)
} catch (error) {
  console.error(error instanceof ConfigError ? error.message : error)
  process.exitCode = error instanceof ConfigError ? 2 : 1
}
