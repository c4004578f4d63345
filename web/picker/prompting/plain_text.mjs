/** Text as it is seen (plain_text.py of the core, which see). */

// Joiners belong to the word in Arabic, in India's scripts and within emoji.
const UNSEEN =
  /[\u00ad\u061c\u180e\u200b\u200e\u200f\u202a-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb\u{e0000}-\u{e007f}]|(?<![\u0600-\u1cff\u2190-\u2bff\ufe0f\u{1f000}-\u{1faff}])[\u200c\u200d]|[\u200c\u200d](?![\u0600-\u1cff\u2190-\u2bff\ufe0f\u{1f000}-\u{1faff}])/gu
const HALVES = /\p{Surrogate}/gu // of a pair, alone: no letter
const SPACES = /[\x1c-\x1f\x85\u00a0\u1680\u2000-\u200a\u202f\u205f\u3000]/g

/**
 * Without marks that have no width, with usual spaces, letters composed.
 * @param {string} text
 */
export function plainText(text) {
  return text.normalize('NFC').replace(HALVES, '').replace(UNSEEN, '').replace(SPACES, ' ')
}
