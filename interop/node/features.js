// amqplib: what queues and exchanges do for those who ask by arguments; many cases at once.

import './dead.js';
import './exchanges.js';
import './groups.js';
import './order.js';
import './rascal.js';
import './refusals.js';
import './streams.js';
import './time.js';
import { runAll } from './suite.js';

await runAll(8);
