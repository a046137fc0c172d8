/** Writes docs/console-{light,dark}-{390,1440}.png: the console as it looks with something going on. */
import { mkdirSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { rules } from '../../src/rules/all-rules.ts'
import type { RawClient } from '../clients/raw.ts'
import { logIn, makeBrowser, makeStage, openPage, type Stage, stranger, subscribe, victim } from './stage.ts'

const docs = resolve(import.meta.dirname, '../../../docs')
const everything = process.argv.includes('--all')
const folder = process.argv.slice(2).find(argument => !argument.startsWith('-')) ?? docs

const actions: (() => unknown)[] = []
const teardowns = { teardown: (action: () => unknown) => actions.unshift(action) }
try {
  mkdirSync(folder, { recursive: true })
  const stage = await makeStage(teardowns)
  await play(stage)
  const browser = await makeBrowser(teardowns)
  for (const colorScheme of ['light', 'dark'] as const)
    for (const width of [390, 1440]) {
      const viewport = { width, height: width === 390 ? 844 : 900 }
      const { page, faults } = await openPage(browser, stage.url, { viewport, colorScheme, reducedMotion: 'reduce' })
      await logIn(page, stage.url)
      await page
        .getByRole('table', { name: /Subscription stanzas/ })
        .getByText('dropped')
        .first()
        .waitFor()
      await page
        .getByRole('rowheader', { name: rules[0]?.name ?? '' })
        .first()
        .waitFor()
      await page.screenshot({ path: join(folder, `console-${colorScheme}-${width}.png`) })
      if (everything) {
        const shoot = (name: string, fullPage = false) =>
          page.screenshot({ path: join(folder, `${name}-${colorScheme}-${width}.png`), fullPage })
        await page
          .getByRole('button', { name: /details$/ })
          .nth(3)
          .click()
        await page.getByText('Only this account').waitFor()
        await shoot('details', true)
        await page.getByRole('link', { name: 'Sessions' }).click()
        await page.getByText('balcony').waitFor()
        await shoot('sessions')
        await page.goto(`${stage.url}/console#account/${encodeURIComponent(victim)}`)
        await page.getByText('both see each other').first().waitFor()
        await shoot('account')
        await page.goto(`${stage.url}/console#explain`)
        await page.getByRole('button', { name: 'Explain' }).click()
        await page.getByText('It is not passed on').waitFor()
        await shoot('explain', true)
      }
      const [needed, there] = (await page.evaluate('[document.documentElement.scrollWidth, innerWidth]')) as [
        number,
        number,
      ]
      if (needed > there) console.error(`${colorScheme} ${width}: ${needed} pixels wide`)
      for (const fault of faults) console.error(`${colorScheme} ${width}: ${fault}`)
      await page.context().close()
    }
} finally {
  for (const action of actions) await action()
}

/** A little of everything. */
async function play(stage: Stage): Promise<void> {
  const romeo = await stage.login('clients', 'romeo', 'orchard')
  const juliet = await stage.login('web', 'juliet', 'balcony')
  const nurse = await stage.login('clients', 'nurse', 'phone')
  const benvolio = await stage.login('web', 'benvolio', 'street')
  for (const client of [romeo, juliet, nurse, benvolio]) await client.appear()
  await subscribe(romeo, juliet)
  await subscribe(juliet, romeo)
  await subscribe(nurse, juliet)
  await refuse(benvolio, juliet)
  const forge = (type: string, from = stranger) =>
    stage.prosody.inject(juliet.jid, `<presence from='${from}' to='${victim}' type='${type}'/>`)
  for (const type of ['subscribed', 'subscribed', 'unsubscribed']) await forge(type)
  await forge('subscribed', 'paris@verona.example')
  const wrong = [
    `<presence xmlns='jabber:client' to='${victim}' type='Subscribe'/>`,
    `<presence xmlns='jabber:client'><priority>1</priority><priority>2</priority></presence>`,
    `<presence xmlns='jabber:client' to='${juliet.jid}' type='subscribe'/>`,
    `<iq xmlns='jabber:client' type='set' id='two'><query xmlns='jabber:iq:roster'><item jid='a@localhost'/><item jid='b@localhost'/></query></iq>`,
  ]
  for (const stanza of wrong) benvolio.send(stanza)
  await stage.prosody.inject(
    juliet.jid,
    `<iq type='set' id='push' from='${stranger}/x' to='${juliet.jid}'><query xmlns='jabber:iq:roster'><item jid='${stranger}' subscription='both'/></query></iq>`,
  )
  romeo.send(`<presence xmlns='jabber:client' from='juliet@localhost' to='nurse@localhost' type='subscribe'/>`)
  romeo.send(romeo.endTag)
  await romeo.toTheEnd()
  await subscribe(juliet, nurse)
  for (const client of [juliet, nurse, benvolio]) await client.settled()
}

async function refuse(from: RawClient, to: RawClient): Promise<void> {
  from.send(`<presence xmlns='jabber:client' to='${victim}' type='subscribe'/>`)
  await to.element('the request', ({ attrs }) => attrs.get('type') === 'subscribe')
  to.send(`<presence xmlns='jabber:client' to='${from.jid.split('/')[0]}' type='unsubscribed'/>`)
  await from.element('the denial', ({ attrs }) => attrs.get('type') === 'unsubscribed')
}
