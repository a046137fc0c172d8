/** The page in a real browser, in front of a real gate, a real server, and real clients. */
import type { Page } from 'playwright-core'
import t from 'tap'
import { defaultLimits } from '../../src/config/limits.ts'
import { logIn, makeBrowser, makeStage, openPage, stranger, subscribe, token, victim } from './stage.ts'

const settings = {
  admin: { token, write: true, address: '127.0.0.1', port: 0 },
  limits: { ...defaultLimits, pendingRequests: { perLogin: 1, perDay: 50 } },
}
const [stage, browser] = await Promise.all([makeStage(t, settings), makeBrowser(t)])
const { url, prosody } = stage
const romeo = await stage.login('clients', 'romeo', 'orchard')
const juliet = await stage.login('web', 'juliet', 'balcony')
for (const client of [romeo, juliet]) await client.appear()

const traffic = (page: Page) => page.getByRole('table', { name: 'Subscription stanzas and decisions, newest first' })
/** Rows that hold this, of a table that may be drawn at any moment. */
const rows = (page: Page, text: string | RegExp) => traffic(page).getByRole('row').filter({ hasText: text })

t.test('one gets in with the token alone', async t => {
  const { page, faults } = await openPage(browser, url)
  await logIn(page, url, 'wrong')
  await page.getByRole('alert').getByText('That is not the token.').waitFor()
  t.equal(new URL(page.url()).pathname, '/console/login')
  t.match(faults.splice(0).join(), '401', 'the browser tells of it, and of nothing else')
  await logIn(page, url)
  await page.getByRole('heading', { name: 'Live traffic' }).waitFor()
  const [cookie] = await page.context().cookies()
  t.match(cookie, { httpOnly: true, sameSite: 'Strict' })
  t.notMatch(cookie?.value, token)
  t.equal(await page.evaluate('document.cookie'), '', 'no script reads it')
  await page.getByRole('button', { name: 'Log out' }).click()
  await page.getByLabel('Admin token').waitFor()
  await page.goto(`${url}/console`)
  await page.getByLabel('Admin token').waitFor()
  t.same(faults, [])
  await page.context().close()
})

const { page, faults } = await openPage(browser, url, { viewport: { width: 1_440, height: 900 } })
await logIn(page, url)

t.test('what happens is seen as it happens', async t => {
  await page.getByText('Live', { exact: true }).waitFor()
  await subscribe(romeo, juliet)
  const approval = rows(page, 'subscribed').filter({ hasText: 'forwarded' })
  await approval.first().waitFor()
  await prosody.inject(juliet.jid, `<presence from='${stranger}' to='${victim}' type='subscribed'/>`)
  const forged = rows(page, stranger)
  await forged.waitFor()
  const said = (await forged.innerText()).split(/\s+/).slice(1)
  const verdict = ['dropped', 'presence', 'subscribed', victim, '←', 'inbound', stranger]
  t.same(said, [...verdict, 'none', 'subscribed-needs-request'])
  await forged.getByRole('button', { name: /details$/ }).press('Enter')
  await page.getByText('inbound: from the server').waitFor()
  await page.getByText('RFC 6121 3.1.6').first().waitFor()
  t.match(await page.locator('#announcer').textContent(), /^(presence subscribed .*|)$/)
  const rule = page.getByRole('row').filter({ has: page.getByRole('rowheader', { name: /^subscribed-needs-request/ }) })
  await rule.getByText('dropped').waitFor()
  t.match(await rule.innerText(), /enforce\s+1\s+dropped/)
  await page
    .getByRole('row')
    .filter({ has: page.getByRole('rowheader', { name: new RegExp(stranger) }) })
    .waitFor()
})

t.test('filters, and what may not be asked', async t => {
  await page.getByLabel('Verdict').selectOption('drop')
  await rows(page, 'forwarded').first().waitFor({ state: 'detached' })
  await rows(page, stranger).waitFor()
  await page.getByLabel('Contact').fill('nobody@im.example')
  await page.getByLabel('Contact').press('Enter')
  await page.getByText(/None of the last 500 events fits/).waitFor()
  await page.getByLabel('Contact').fill('a b@')
  await page.getByLabel('Contact').press('Enter')
  await page.getByRole('alert').getByText("Filter not valid: 'a b@' is no JID").waitFor()
  await page.getByRole('status').getByText('Connected', { exact: true }).waitFor()
  t.match(faults.splice(0).join(), /400/, 'the browser tells of it')
  await page.getByRole('button', { name: 'Clear' }).click()
  await rows(page, 'forwarded').first().waitFor()
  t.equal(await page.getByRole('alert').count(), 0)
})

t.test('it waits while one reads', async t => {
  await page.getByRole('button', { name: 'Pause' }).click()
  await page.getByText('Paused').waitFor()
  await prosody.inject(juliet.jid, `<presence from='paris@verona.example' to='${victim}' type='unsubscribed'/>`)
  await page.getByText('1 new').waitFor()
  t.equal(await rows(page, 'paris@verona.example').count(), 0)
  await page.getByRole('button', { name: 'Resume' }).click()
  await rows(page, 'paris@verona.example').waitFor()
})

t.test('an account, its sessions, and an explanation', async t => {
  await rows(page, 'forwarded').getByRole('link', { name: 'romeo@localhost' }).first().click()
  const contact = page.getByRole('region', { name: 'Contacts' }).getByRole('row', { name: /juliet@localhost/ })
  await contact.waitFor()
  t.match(await contact.innerText(), /juliet@localhost\s+to\s+the account sees the contact\s+\d{4}-\d\d-\d\d/)
  await page.getByRole('searchbox', { name: 'Account' }).fill('nobody@im.example')
  await page.getByRole('button', { name: 'Look up' }).click()
  await page.getByRole('alert').getByText('nothing is known of nobody@im.example').waitFor()
  t.match(faults.splice(0).join(), /404/, 'the browser tells of it')

  await page.getByRole('link', { name: 'Sessions' }).click()
  await page.getByRole('cell', { name: 'balcony' }).waitFor()
  await page.getByRole('cell', { name: '127.0.0.1' }).first().waitFor()
  await page.getByLabel('Wire').selectOption('tcp')
  await page.getByRole('cell', { name: 'balcony' }).waitFor({ state: 'detached' })
  await page.getByRole('cell', { name: 'orchard' }).waitFor()

  await page.getByRole('link', { name: 'Explain' }).click()
  await page.getByRole('button', { name: 'Explain' }).click()
  await page.getByText('It is not passed on, and nobody is told.').waitFor()
  t.notOk(await page.getByRole('rowheader', { name: 'unsubscribed-needs-subscription' }).isVisible())
  await page.getByText(/^\d+ rules with nothing to say$/).click()
  await page.getByRole('rowheader', { name: 'unsubscribed-needs-subscription' }).waitFor()
  await page.getByLabel('State of the contact').selectOption('none+ask')
  await page.getByRole('button', { name: 'Explain' }).click()
  await page.getByText('No rule has anything against it.').waitFor()
  await page.getByLabel('Stanza').fill('<presence')
  await page.getByRole('button', { name: 'Explain' }).click()
  await page.getByRole('alert').getByText('line 1, column 10: the stanza is not complete').waitFor()
  t.match(faults.splice(0).join(), /400/)
})

t.test('requests that are held: one is released, one denied, then all that fit', async t => {
  const strangers = ['a', 'b', 'c', 'd', 'e'].map(name => `${name}@flood.example`)
  for (const from of [...strangers, '<b>f</b>@evil.example'.replaceAll('<', '&lt;')])
    await prosody.inject(
      juliet.jid,
      `<presence from='${from}' to='${victim}' type='subscribe'><status>&lt;i>Hello&lt;/i> from ${from}</status></presence>`,
    )
  const held = page.getByRole('table', { name: /^Requests of strangers/ })
  const request = (text: string) => held.getByRole('row').filter({ hasText: text })
  await page.getByRole('link', { name: 'Held' }).click()
  await page.getByText('5 in all').waitFor()
  await request('<i>Hello</i> from b@flood.example').waitFor()
  await page.getByRole('button', { name: 'Release b@flood.example' }).click()
  await page.getByRole('status').getByText('1 released.').waitFor()
  await juliet.element('the request', ({ attrs }) => attrs.get('from') === 'b@flood.example')
  await page.getByRole('button', { name: 'Deny c@flood.example' }).click()
  await page.getByRole('status').getByText('1 denied.').waitFor()
  await page.getByText('3 in all').waitFor()
  await page.getByLabel('Stranger').fill('*@flood.example')
  await page.getByLabel('Stranger').press('Enter')
  await page.getByText('2 in all').waitFor()
  page.once('dialog', dialog => void dialog.dismiss())
  await page.getByRole('button', { name: 'Deny all 2' }).click()
  page.once('dialog', dialog => {
    t.equal(dialog.message(), 'Deny 2 requests?')
    void dialog.accept()
  })
  await page.getByRole('button', { name: 'Deny all 2' }).click()
  await page.getByRole('status').getByText('2 denied.').waitFor()
  await page.getByText('No request is held.').waitFor()
  await page.getByLabel('Stranger').fill('')
  await page.getByLabel('Stranger').press('Enter')
  await request('<b>f</b>@evil.example').waitFor()
  await request(victim).first().getByRole('link').first().click()
  await page.getByText('e@flood.example').waitFor()
  t.same(faults, [])
})

t.test('what a peer writes is text, and stays where it is', async t => {
  const evil = '<img src=x onerror=alert(1)>'
  const escaped = evil.replaceAll('<', '&lt;')
  await page.getByRole('link', { name: 'Traffic' }).click()
  const names = [
    `${escaped}@evil.example`,
    `"&gt;&lt;svg onload=alert(1)&gt;@evil.example`,
    'a\u202eb@evil.example',
    `javascript:alert(1)@evil.example`,
  ]
  for (const name of names)
    await prosody.inject(
      juliet.jid,
      `<presence from="${name.replaceAll('"', '&quot;')}" to='${victim}' type='subscribed'><status>secret words</status></presence>`,
    )
  await rows(page, `${evil}@evil.example`).waitFor()
  await rows(page, '"><svg onload=alert(1)>@evil.example').waitFor()
  await rows(page, 'a‹U+202E›b@evil.example').waitFor()
  await rows(page, 'javascript:alert(1)@evil.example').waitFor()
  const long = `${'x'.repeat(900)}@long.example`
  await prosody.inject(juliet.jid, `<presence from='${long}' to='${victim}' type='subscribed'/>`)
  const whole = traffic(page).getByTitle(long)
  await whole.waitFor()
  t.ok(((await whole.boundingBox())?.height ?? Infinity) < 50, 'a name without end has two lines')
  t.equal(await page.locator('main img, main svg, main script').count(), 0)
  t.notMatch(await page.content(), 'secret words', 'and what they say to each other is not here')

  const nurse = await stage.login('clients', 'nurse', `${escaped}`)
  t.match(nurse.jid, evil)
  await page.goto(`${url}/console#sessions`)
  await page.getByLabel('Wire').selectOption('')
  await page.getByRole('cell', { name: evil }).waitFor()
  await page.goto(`${url}/console#account/${encodeURIComponent(`${evil}@x`)}`)
  await page.getByRole('alert').waitFor()
  await page.goto(`${url}/console#account/%E0%A4`)
  await page.getByText('What the gate knows of an account').waitFor()
  t.match(faults.splice(0).join(), /^[^,]*400[^,]*$/, 'a JID it is not; and nothing ran')
})

t.test('on a phone nothing is wider than it; in either colour its contrast is enough (WCAG 2 AA)', async t => {
  const ground = () => page.evaluate('getComputedStyle(document.body).backgroundColor')
  const grounds = { light: 'rgb(244, 246, 247)', dark: 'rgb(15, 20, 23)' } as const
  for (const colorScheme of ['light', 'dark'] as const) {
    await page.emulateMedia({ colorScheme })
    for (const width of [390, 1_440]) {
      await page.setViewportSize({ width, height: 844 })
      for (const place of ['traffic', 'sessions', `account/${victim}`, 'quarantine', 'explain']) {
        const where = `${place}, ${colorScheme}, ${width}`
        await page.goto(`${url}/console#${place}`)
        if (place === 'explain') {
          await page.getByLabel('Stanza').fill(`<presence from='${stranger}' type='subscribed'/>`)
          await page.getByRole('button', { name: 'Explain' }).click()
        }
        await page
          .getByRole('main')
          .getByText(marks[place] ?? '')
          .first()
          .waitFor()
        t.equal(await page.evaluate('document.documentElement.scrollWidth'), width, where)
        t.same(await page.evaluate(faint), [], where)
      }
    }
    t.equal(await ground(), grounds[colorScheme], 'as the system has it')
    const other = colorScheme === 'light' ? 'dark' : 'light'
    await page.getByLabel('Colours').selectOption(other)
    t.equal(await ground(), grounds[other], 'as its user wants it')
    await page.reload()
    await page.getByRole('main').waitFor()
    t.equal(await ground(), grounds[other], 'also the next time')
    await page.getByLabel('Colours').selectOption('auto')
  }
  await page.setViewportSize({ width: 390, height: 844 })
  await page.getByRole('link', { name: 'Traffic' }).click()
  t.notOk(await page.getByLabel('Verdict').isVisible(), 'there is more room for the traffic')
  await page.getByRole('button', { name: 'Filters' }).click()
  await page.getByLabel('Verdict').selectOption('drop')
  await page.getByRole('button', { name: 'Filters (set)' }).waitFor()
  await page.getByRole('button', { name: 'Clear' }).click()
  t.same(faults, [])
})

/** What is there once a view is. */
const marks: Readonly<Record<string, string>> = {
  traffic: stranger,
  sessions: 'balcony',
  [`account/${victim}`]: 'the contact sees the account',
  quarantine: 'evil.example',
  explain: 'with nothing to say',
}

t.test('it says when it is cut off, and comes back', async t => {
  await page.goto(`${url}/console#traffic`)
  await page.getByText('Live', { exact: true }).waitFor()
  const high = (await page.getByRole('banner').boundingBox())?.height
  const top = (await page.getByRole('main').boundingBox())?.y
  stage.cut()
  await page.getByText('Disconnected', { exact: true }).waitFor()
  t.equal((await page.getByRole('banner').boundingBox())?.height, high, 'the header stays as it was')
  t.equal((await page.getByRole('main').boundingBox())?.y, top, 'and so does what is below it')
  await page.getByRole('alert').getByText('the gate does not answer').waitFor()
  t.equal(await page.locator('.tiles.stale').count(), 1, 'the figures are grey')
  stage.mend()
  await page.getByText('Live', { exact: true }).waitFor()
  faults.length = 0 // that it cannot connect, in the browser's own words
  await prosody.inject(juliet.jid, `<presence from='late@verona.example' to='${victim}' type='subscribed'/>`)
  await rows(page, 'late@verona.example').waitFor()
  t.same(faults, [])
})

/** In the page: texts whose colour is too near to that of their ground. */
const faint = `(() => {
  const canvas = document.createElement('canvas').getContext('2d', { willReadFrequently: true })
  const rgb = colour => {
    canvas.clearRect(0, 0, 1, 1)
    canvas.fillStyle = colour
    canvas.fillRect(0, 0, 1, 1)
    return [...canvas.getImageData(0, 0, 1, 1).data]
  }
  const light = ([r, g, b]) => {
    const [R, G, B] = [r, g, b].map(c => (c / 255 <= 0.04045 ? c / 255 / 12.92 : ((c / 255 + 0.055) / 1.055) ** 2.4))
    return 0.2126 * R + 0.7152 * G + 0.0722 * B
  }
  const groundOf = element => {
    for (let each = element; each !== null; each = each.parentElement) {
      const ground = rgb(getComputedStyle(each).backgroundColor)
      if (ground[3] === 255) return ground
    }
    return [255, 255, 255, 255]
  }
  const found = []
  for (const element of document.querySelectorAll('body *')) {
    const text = [...element.childNodes].filter(node => node.nodeType === 3).map(node => node.data.trim()).join('')
    if (text === '' || element.closest('.unseen, option, [disabled], .skip') || element.checkVisibility?.() === false) continue
    const [a, b] = [light(rgb(getComputedStyle(element).color)), light(groundOf(element))].sort((x, y) => y - x)
    const ratio = (a + 0.05) / (b + 0.05)
    if (ratio < 4.5) found.push(text + ' ' + ratio.toFixed(2))
  }
  return [...new Set(found)]
})()`
