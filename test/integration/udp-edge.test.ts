/** Every UDP edge of a server against packets of nobody. */
import { sourceContract } from '../contract/udp-edge.ts';

sourceContract('tftp');
sourceContract('dhcp');
sourceContract('pxe');
sourceContract('peers');
