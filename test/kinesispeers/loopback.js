// Loaded before a peer: whatever it listens on, it is on the loopback address.
const net = require('net')
const listen = net.Server.prototype.listen
net.Server.prototype.listen = function (port, ...rest) {
  if (typeof port === 'object') return listen.call(this, { ...port, host: '127.0.0.1' }, ...rest)
  return listen.call(this, { port: Number(port), host: '127.0.0.1' }, ...rest.filter(a => typeof a === 'function'))
}
