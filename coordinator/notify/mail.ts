/** A notification as a mail, for `sendmail -t`, which every mail system brings or imitates. */
import type { Message } from './message.ts';

/** Lines end as mail programs on a host expect it of each other; what goes out is theirs. */
export function mailOf(message: Message, to: readonly string[], now: Date): string {
  const headers = [
    ['To', to.join(', ')],
    ['Subject', headerText(message.subject)],
    ['Date', now.toUTCString().replace('GMT', '+0000')],
    // Duplicates of one notification are one mail to most readers.
    ['Message-ID', `<${message.id.replaceAll(/[^A-Za-z0-9.-]/g, '.')}@lockstep>`],
    ['Auto-Submitted', 'auto-generated'],
    ['X-Lockstep-Delivery', message.id],
    ['X-Lockstep-Kind', message.kind],
    ['MIME-Version', '1.0'],
    ['Content-Type', 'text/plain; charset=utf-8'],
    ['Content-Transfer-Encoding', 'base64'],
  ];
  const body = Buffer.from(message.text).toString('base64').replaceAll(/.{76}/g, '$&\n');
  return `${headers.map(([name, value]) => `${name}: ${value}\n`).join('')}\n${body}\n`;
}

/** Printable ASCII as it is, else as encoded words (RFC 2047), of which each holds whole characters. */
function headerText(text: string): string {
  const line = text.replaceAll(/\s+/g, ' ').trim();
  if (/^[\x20-\x7e]*$/.test(line)) return line;
  const words: string[] = [];
  let word = '';
  for (const character of line) {
    if (Buffer.byteLength(word + character) > encodedBytesMax) {
      words.push(word);
      word = '';
    }
    word += character;
  }
  return [...words, word].map((part) => `=?utf-8?B?${Buffer.from(part).toString('base64')}?=`).join('\n ');
}

/** Of text in an encoded word, which has at most 75 characters in all. */
const encodedBytesMax = 45;
