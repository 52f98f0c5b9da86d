/** A DHCP relay (RFC 1542, 4.1): argument: the server's address. Says a line once it listens. */
import { createSocket } from 'node:dgram';

const [server = ''] = process.argv.slice(2);
const OWN = [10, 77, 0, 2];
const HOPS = 3;
const GIADDR = 24;

const socket = createSocket('udp4');
socket.on('message', (packet) => {
  if (packet[0] === 2) {
    socket.send(packet, 68, '255.255.255.255');
    return;
  }
  packet.writeUInt8((packet[HOPS] ?? 0) + 1, HOPS);
  if (packet.readUInt32BE(GIADDR) === 0) packet.set(OWN, GIADDR);
  socket.send(packet, 67, server);
});
socket.bind(67, () => {
  socket.setBroadcast(true);
  console.log('relays');
});
