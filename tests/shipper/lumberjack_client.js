// Sends what it is told to by the lumberjack-client of npm: node FILE PORT CA_FILE|"" JSON. CA_FILE turns TLS on.
// What is logged before the connection stands goes in one window, each later event in one of its own.
const fs = require('fs')
const LumberjackClient = require('lumberjack-client')

const [port, ca, text] = process.argv.slice(2)
const { first, later } = JSON.parse(text)
const config = { host: '127.0.0.1', port: Number(port) }
const client = new LumberjackClient(ca ? { ...config, ca: [fs.readFileSync(ca)] } : config, Boolean(ca))
first.forEach((event) => client.log(event))
const connected = setInterval(() => {
  if (!client.connected) return
  clearInterval(connected)
  later.forEach((event) => client.log(event))
}, 5)
// It reads no acknowledgement and ends by itself never: whoever started it ends it.
