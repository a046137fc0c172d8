import t from 'tap'
import {
  bareOf,
  compareBare,
  compareDomain,
  foldBare,
  foldDomain,
  hasResource,
  parseJid,
  resourceOf,
  skeletonOf,
} from '../../src/stanza/jid.ts'

const long = (length: number) => 'x'.repeat(length)

/** An address and its three parts, spelling kept. */
const valid: readonly (readonly [address: string, local: string | undefined, domain: string, resource?: string])[] = [
  ['im.example', undefined, 'im.example'],
  ['juliet@im.example', 'juliet', 'im.example'],
  ['juliet@im.example/balcony', 'juliet', 'im.example', 'balcony'],
  ['im.example/echo', undefined, 'im.example', 'echo'],
  ['Juliet@IM.Example/Balcony', 'Juliet', 'IM.Example', 'Balcony'],
  ['a@b/c/d', 'a', 'b', 'c/d'],
  ['a@b/c@d', 'a', 'b', 'c@d'],
  ['b/c@d/e', undefined, 'b', 'c@d/e'],
  ['a@b/ c ', 'a', 'b', ' c '],
  ['a@b/<&>"\':', 'a', 'b', '<&>"\':'],
  ['d\\27artagnan@im.example', 'd\\27artagnan', 'im.example'],
  ['a.b-c_d+e!#$%*=?^`{|}~@im.example', 'a.b-c_d+e!#$%*=?^`{|}~', 'im.example'],
  ['fußball@im.example', 'fußball', 'im.example'],
  ['a@im.example.', 'a', 'im.example.'],
  ['a@localhost', 'a', 'localhost'],
  ['a@my_host.example', 'a', 'my_host.example'],
  ['a@faß.example', 'a', 'faß.example'],
  ['a@127.0.0.1', 'a', '127.0.0.1'],
  ['a@[::1]', 'a', '[::1]'],
  ['a@[2001:db8::1.2.3.4]/x', 'a', '[2001:db8::1.2.3.4]', 'x'],
  ['a@b/😀', 'a', 'b', '😀'],
  [`${long(1023)}@${long(1023)}/${long(1023)}`, long(1023), long(1023), long(1023)],
  [`${'é'.repeat(511)}x@b`, `${'é'.repeat(511)}x`, 'b'],
  ['__proto__@constructor', '__proto__', 'constructor'],
]

const invalid: readonly (readonly [name: string, address: string])[] = [
  ['nothing', ''],
  ['no local part before the @', '@im.example'],
  ['no domain after the @', 'a@'],
  ['no domain, a resource', 'a@/b'],
  ['a resource alone', '/b'],
  ['an empty resource', 'a@b/'],
  ['two @', 'a@b@c'],
  ['a space in the local part', 'a b@c'],
  ['a space before', ' a@b'],
  ['a space after', 'a@b '],
  ['a line end', 'a@b\n'],
  ['a quotation mark', 'a"b@c'],
  ['an ampersand', 'a&b@c'],
  ['an apostrophe', "a'b@c"],
  ['a colon', 'a:b@c'],
  ['a less-than', 'a<b@c'],
  ['a greater-than', 'a>b@c'],
  ['a no-break space', 'a\u00a0b@c'],
  ['a control character in the local part', 'a\u0001b@c'],
  ['a C1 control character in the local part', 'a\u0085b@c'],
  ['a control character in the domain', 'a@b\u0007c'],
  ['a control character in the resource', 'a@b/c\td'],
  ['a space in the domain', 'x@exa mple.com'],
  ['an ideographic space in the domain', 'x@exa\u3000mple.com'],
  ['a port', 'a@b:5222'],
  ['an empty label', 'a@b..c'],
  ['an empty first label', 'a@.b'],
  ['a dot alone', 'a@.'],
  ['two final dots', 'a@b..'],
  ['a question mark in the domain', 'a@b.example?c'],
  ['a number sign in the domain', 'a@b.example#c'],
  ['a backslash in the domain', 'a@b.example\\c'],
  ['a percent sign in the domain', 'a@%62.example'],
  ['an IPv6 literal unclosed', 'a@[::1'],
  ['an IPv6 literal and more', 'a@[::1].b'],
  ['brackets around no IPv6', 'a@[b]'],
  ['a local part of 1024 bytes', `${long(1024)}@b`],
  ['a local part of 512 characters in 1024 bytes', `${'é'.repeat(512)}@b`],
  ['a domain of 1024 bytes', `a@${long(1024)}`],
  ['a resource of 1024 bytes', `a@b/${long(1024)}`],
]

t.test('valid', t => {
  for (const [address, local, domain, resource] of valid) {
    t.strictSame(parseJid(address), { local, domain, resource }, address.slice(0, 60))
    t.equal(hasResource(address), resource !== undefined)
    t.equal(resourceOf(address), resource)
    t.equal(bareOf(address), local === undefined ? domain : `${local}@${domain}`)
  }
  t.end()
})

t.test('invalid', t => {
  for (const [name, address] of invalid) {
    t.equal(parseJid(address), undefined, name)
    // The resource is cut off before folding, so a bad one does not count.
    if (!address.startsWith('a@b/')) t.equal(foldBare(address), undefined, `${name}, folded`)
  }
  t.end()
})

/** Two spellings of one account by RFC 7622; the second is the folded form. */
const folds: readonly (readonly [name: string, address: string, folded: string])[] = [
  ['lower case', 'Juliet@IM.Example/Balcony', 'juliet@im.example'],
  ['a domain', 'IM.Example', 'im.example'],
  ['a final dot', 'a@example.com.', 'a@example.com'],
  ['ß is not ss', 'fußball@example.com', 'fußball@example.com'],
  ['full width', 'ｊｕｌｉｅｔ@example.com', 'juliet@example.com'],
  ['half width', 'ｶﾅ@example.com', 'カナ@example.com'],
  ['the final sigma', 'ΑΣ@example.com', 'ας@example.com'],
  ['composed', 'e\u0301@example.com', 'é@example.com'],
  ['upper case and an accent', 'E\u0301@example.com', 'é@example.com'],
  ['the ideographic zero', '〇@example.com', '〇@example.com'],
  ['digits of another script', '٣@example.com', '٣@example.com'],
  ['an IDN', 'a@FAß.example', 'a@xn--fa-hia.example'],
  ['an IDN in ASCII', 'a@XN--FA-hia.example', 'a@xn--fa-hia.example'],
  ['an IDN not composed', 'a@exa\u0308mple.com', 'a@xn--exmple-cua.com'],
  ['ideographic full stops', 'a@exämple。com。', 'a@xn--exmple-cua.com'],
  ['a full-width domain', 'a@ＩＭ．example', 'a@im.example'],
  ['full-width digits are no short IPv4', 'a@１', 'a@1'],
  ['IPv6', 'a@[2001:DB8::1]', 'a@[2001:db8::1]'],
  ['U+0130', 'İ@example.com', 'i\u0307@example.com'],
]

/** What RFC 7622 refuses and an older stringprep takes, or what would become another address on the way. */
const unfoldable: readonly (readonly [name: string, address: string])[] = [
  ['a compatibility character', 'henryⅣ@example.com'],
  ['a symbol', '♚@example.com'],
  ['the Kelvin sign is no k', '\u212a@example.com'],
  ['a ligature', 'ﬁ@example.com'],
  ['mathematical letters', '𝐚@example.com'],
  ['a full-width @', 'a＠b@example.com'],
  ['a full-width /', 'a／b@example.com'],
  ['a full-width <', 'a＜b@example.com'],
  ['a soft hyphen', 'a\u00adb@example.com'],
  ['a zero-width joiner', 'a\u200db@example.com'],
  ['a zero-width no-break space', 'a\ufeffb@example.com'],
  ['a hangul jamo', '\u1100@example.com'],
  ['a tatweel', 'ب\u0640ب@example.com'],
  ['private use', '\ue000@example.com'],
  ['unassigned', '\u0378@example.com'],
  ['a lone surrogate', '\ud800@example.com'],
  ['a soft hyphen in the domain', 'a@exa\u00admple.com'],
  ['a zero-width joiner in the domain', 'a@ü\u200dx.com'],
  ['no A-label', 'a@ü.xn--a'],
  ['a full-width ? in the domain', 'a@exämple.com？x'],
  ['a full-width / in the domain', 'a@exämple.com／x'],
  ['a/c as one character', 'a@exämple.com℀'],
  ['a full-width : in the domain', 'a@exämple.com：80'],
]

t.test('the folded form', t => {
  for (const [name, address, folded] of folds) {
    t.equal(foldBare(address), folded, name)
    t.equal(foldBare(folded), folded, `${name}: folded again`)
  }
  for (const [name, address] of unfoldable) t.equal(foldBare(address), undefined, name)
  t.equal(foldBare('a@b/\u0000'), 'a@b', 'the resource is not looked at')
  t.end()
})

t.test('one domain is not another that a URL would take it for', t => {
  for (const tail of ['?x', '#x', '\\x', '/x', ':80', '%41', '@x', ' x', '\tx', '\nx']) {
    t.equal(foldDomain(`exämple.com${tail}`), undefined, `after an IDN: ${JSON.stringify(tail)}`)
    t.equal(foldDomain(`example.com${tail}`), undefined, `after ASCII: ${JSON.stringify(tail)}`)
  }
  t.equal(foldDomain('%65xämple.com'), undefined)
  t.equal(foldDomain('Im.Example.'), 'im.example')
  t.equal(foldDomain(''), undefined)
  t.equal(foldDomain('.'), undefined)
  t.end()
})

t.test('folding twice is folding once, for every character of the first two planes', t => {
  const wrong: string[] = []
  for (let code = 0x21; code < 0x20000; code++) {
    const character = String.fromCodePoint(code)
    for (const address of [`${character}@b`, `A${character}a@b`, `a@B${character}b`]) {
      const folded = foldBare(address)
      if (folded !== undefined && foldBare(folded) !== folded) wrong.push(`U+${code.toString(16)} in ${address}`)
    }
  }
  t.strictSame(wrong.slice(0, 20), [])
  t.end()
})

/** Two addresses, and whether they are the same account on every server, on none, or on some. */
const comparisons: readonly (readonly [one: string, other: string, expected: ReturnType<typeof compareBare>])[] = [
  ['juliet@im.example', 'Juliet@IM.Example./balcony', 'same'],
  ['juliet@im.example', 'juliet@im.example.evil.example', 'different'],
  ['É@im.example', 'e\u0301@im.example', 'same'],
  ['a@exämple.com', 'a@xn--exmple-cua.com', 'same'],
  // Of these stringprep makes what RFC 7622 does not.
  ['straße@im.example', 'strasse@im.example', 'unknown'],
  ['straße@im.example', 'STRASSE@im.example', 'unknown'],
  ['straße@im.example', 'strasse@other.example', 'different'],
  ['straße@im.example', 'straße@im.example', 'same'],
  ['νίκος@im.example', 'νίκοσ@im.example', 'unknown'],
  ['ΝΊΚΟΣ@im.example', 'νίκος@im.example', 'unknown'],
  ['ẞ@im.example', 'ß@im.example', 'unknown'],
  ['ẞ@im.example', 'ss@im.example', 'unknown'],
  ['ﬁona@im.example', 'fiona@im.example', 'unknown'],
  ['a\u00adb@im.example', 'ab@im.example', 'unknown'],
  ['a@straße.example', 'a@strasse.example', 'unknown'],
  ['a@xn--strae-oqa.example', 'a@strasse.example', 'unknown'],
  ['bob@STRASSE.ﬁ', 'bob@strasse.fi', 'same'],
  ['♥@im.example', '♥@IM.example', 'unknown'],
  ['♥@im.example', '♣@im.example', 'different'],
  // No profile makes one of the other, however alike they look.
  ['r\u03bfmeo@im.example', 'romeo@im.example', 'different'],
  ['r\u0131ck@im.example', 'rick@im.example', 'different'],
  ['s@im.example', 'ss@im.example', 'different'],
  // What is no JID is like its own spelling alone.
  ['a b@im.example', 'a b@im.example/x', 'same'],
  ['a b@im.example', 'A b@im.example', 'different'],
  ['@im.example', 'im.example', 'different'],
]

t.test('same, different, or not to be compared', t => {
  for (const [one, other, expected] of comparisons) {
    t.equal(compareBare(one, other), expected, `${one}, ${other}`)
    t.equal(compareBare(other, one), expected, `${other}, ${one}`)
  }
  t.equal(compareDomain('Straße.example', 'strasse.example.'), 'unknown')
  t.equal(compareDomain('IM.example', 'im.example.'), 'same')
  t.equal(compareDomain('im.example', 'im.example/x'), 'different')
  t.end()
})

t.test('all that a profile makes of a name has its skeleton, for every character', t => {
  const wrong: string[] = []
  for (let code = 0x21; code < 0x20000; code++) {
    const character = String.fromCodePoint(code)
    for (const address of [`a${character}b@x`, `a@x${character}y`]) {
      const [skeleton, folded] = [skeletonOf(address), foldBare(address)]
      if (folded !== undefined && skeletonOf(folded) !== skeleton)
        wrong.push(`folded: U+${code.toString(16)} in ${address}`)
      const composed = address.normalize('NFKC')
      if (
        skeletonOf(composed) !== undefined &&
        skeletonOf(composed) !== skeleton &&
        /[@/]/.test(character.normalize('NFKC')) === false
      )
        wrong.push(`NFKC: U+${code.toString(16)} in ${address}`)
    }
  }
  t.strictSame(wrong.slice(0, 20), [])
  t.end()
})
