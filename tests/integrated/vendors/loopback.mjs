// Loaded before a client: each name below localhost is this machine (RFC 6761 section 6.3), and no
// other name is looked up. What was looked up is written to the file LOOKED_UP.
import dns from "node:dns";
import { appendFileSync } from "node:fs";

const lookup = dns.lookup;

dns.lookup = (name, options, callback) => {
  const [given, done] = typeof options === "function" ? [{}, options] : [options, callback];
  if (name === "127.0.0.1") return lookup(name, given, done);
  appendFileSync(process.env.LOOKED_UP, `${name}\n`);
  if (name === "localhost" || name.endsWith(".localhost")) {
    return lookup("127.0.0.1", given, done);
  }
  return process.nextTick(done, new Error(`${name} is not this machine`));
};
