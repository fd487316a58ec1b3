// Sends messages of one size with nodemailer's pool, as fast as it can; keeps no log and ends with an error if one fails.
//
//   node pool.mjs PORT MESSAGES CONNECTIONS OCTETS
//
// Each message is built by nodemailer, with a subject, a plain and an HTML part, like a notice; the text is ASCII in
// short lines, the cheapest there is to encode. OCTETS is the size of the whole message.
import nodemailer from "nodemailer";
import MailComposer from "nodemailer/lib/mail-composer/index.js";

const [port, messages, connections, octets] = process.argv.slice(2).map(Number);
const LINE = "Your data were affected by an incident; this line is as long as others.\n";

const notice = (number, length) => {
  const text = LINE.repeat(Math.ceil(length / LINE.length)).slice(0, length);
  return {
    from: '"Data Protection" <dpo@example.com>',
    to: `person.${number}@example.com`,
    subject: `About your data (${number})`,
    text,
    html: `<p>${text}</p>`,
  };
};

const built = (length) => new MailComposer(notice(messages, length)).compile().build();
let length = Math.floor(octets / 2);
for (let step = 0; step < 3; step += 1) {
  length = Math.max(1, length + Math.floor((octets - (await built(length)).length) / 2));
}
const size = (await built(length)).length;

const transport = nodemailer.createTransport({
  host: "127.0.0.1",
  port,
  secure: false,
  ignoreTLS: true,
  pool: true,
  maxConnections: connections,
  maxMessages: Infinity,
  logger: false,
  debug: false,
  disableFileAccess: true,
  disableUrlAccess: true,
});

// Enough waiting that no connection is ever idle, few enough that its queue stays short.
let next = 0;
const sender = async () => {
  while (next < messages) {
    next += 1;
    await transport.sendMail(notice(next, length));
  }
};
await Promise.all(Array.from({ length: connections * 4 }, sender));
transport.close();
console.log(JSON.stringify({ messages, connections, octets: size }));
