// Webhooks: what the SDK signs is taken by the shop, what is forged is not; and what the simulator sends, the SDK believes.
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { createServer } from 'node:http';
import { after, test } from 'node:test';

import Stripe from 'stripe';

import { API_URL, RETURN_URL, WEBHOOK_SECRET, control, newIntent, orderThatIs, orderToPay, sdk, until } from './shop.js';

const stripe = sdk();
const ENDPOINT = `${API_URL}/webhooks/stripe`;
const now = () => Math.floor(Date.now() / 1000);

// Whatever becomes of a test, the simulator tells the shop again.
after(() => control('PUT', '/webhooks', { mode: 'deliver', target: ENDPOINT, secrets: [WEBHOOK_SECRET] }));

/** An event that is nothing to the shop. */
function newEvent() {
  const data = { object: { id: 'cus_1', object: 'customer', name: 'Åsa 🙂' } };
  return JSON.stringify({ id: `evt_${randomUUID().replaceAll('-', '')}`, object: 'event', type: 'customer.created', livemode: false, data }, null, 2);
}

function sign(payload, options = {}) {
  return stripe.webhooks.generateTestHeaderString({ payload, secret: WEBHOOK_SECRET, ...options });
}

async function send(payload, signature) {
  const headers = { 'content-type': 'application/json; charset=utf-8', ...(signature === null ? {} : { 'stripe-signature': signature }) };
  const answer = await fetch(ENDPOINT, { method: 'POST', headers, body: payload });
  return { status: answer.status, type: answer.headers.get('content-type'), body: await answer.json() };
}

test('what the SDK signs is taken, also a second time', async () => {
  const payload = newEvent();
  for (let i = 0; i < 2; i += 1) {
    assert.deepEqual(await send(payload, sign(payload)), { status: 200, type: 'application/json', body: { received: true } });
  }
  const asynchronous = await stripe.webhooks.generateTestHeaderStringAsync({ payload, secret: WEBHOOK_SECRET });
  assert.equal((await send(payload, asynchronous)).status, 200);
});

test('a signature of the last minutes is taken, and one of several that fits is enough', async () => {
  const payload = newEvent();
  assert.equal((await send(payload, sign(payload, { timestamp: now() - 240 }))).status, 200);
  const [, wrong] = sign(payload, { secret: 'whsec_before_it_was_rolled' }).split(',');
  const [time, right] = sign(payload).split(',');
  assert.equal((await send(payload, [time, wrong, right].join(','))).status, 200);
});

test('what is forged, tampered with, old or not signed is refused', async () => {
  const payload = newEvent();
  const good = sign(payload);
  const forged = {
    'another secret': sign(payload, { secret: 'whsec_of_a_stranger' }),
    'an old one': sign(payload, { timestamp: now() - 301 }),
    'another scheme': sign(payload, { scheme: 'v0' }),
    'another payload’s': sign(newEvent()),
    'made up': sign(payload, { signature: 'ab'.repeat(32) }),
    'another time': good.replace(/t=\d+/, `t=${now() - 5}`),
    'no time': good.replace(/t=\d+,/, ''),
    nonsense: 'nonsense',
    empty: '',
    none: null,
  };
  for (const [what, signature] of Object.entries(forged)) {
    const { status, type, body } = await send(payload, signature);
    assert.deepEqual([status, type, body.code], [400, 'application/problem+json', 'invalid_signature'], what);
    assert.ok(!JSON.stringify(body).includes(WEBHOOK_SECRET));
  }
  const tampered = await send(payload.replace('customer.created', 'customer.deleted'), good);
  assert.deepEqual([tampered.status, tampered.body.code], [400, 'invalid_signature']);
});

test('an event that Stripe could not deliver, signed by the SDK, pays the order', async () => {
  await control('PUT', '/webhooks', { mode: 'drop' });
  const bought = await orderToPay();
  const intent = bought.order.payment.intent_id;
  await stripe.paymentIntents.confirm(intent, { payment_method: 'pm_card_visa', return_url: RETURN_URL });
  const { data } = await stripe.events.list({ type: 'payment_intent.succeeded', delivery_success: false, limit: 100 });
  const event = data.find((event) => event.data.object.id === intent);
  const payload = JSON.stringify(event);
  assert.equal((await send(payload, sign(payload, { secret: 'whsec_of_a_stranger' }))).status, 400);
  assert.equal((await send(payload, sign(payload))).status, 200);
  await control('PUT', '/webhooks', { mode: 'deliver' });
  await orderThatIs('paid', bought);
});

test('what the simulator sends is what the SDK believes, by each secret while they are rolled', async () => {
  const received = [];
  const server = createServer(async (request, answer) => {
    const chunks = await request.toArray();
    received.push({ payload: Buffer.concat(chunks), signature: request.headers['stripe-signature'] });
    answer.end('{}');
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  try {
    const target = `http://127.0.0.1:${server.address().port}/`;
    await control('PUT', '/webhooks', { target, secrets: ['whsec_next', WEBHOOK_SECRET] });
    const intent = await newIntent(stripe, { description: 'Åsa’s cup 🙂' });
    await stripe.paymentIntents.confirm(intent.id, { payment_method: 'pm_card_visa', return_url: RETURN_URL });
    const succeeded = await until('the success arrives', async () =>
      received.find(({ payload }) => JSON.parse(payload).type === 'payment_intent.succeeded'));
    for (const { payload, signature } of received) {
      for (const secret of [WEBHOOK_SECRET, 'whsec_next']) {
        const event = stripe.webhooks.constructEvent(payload, signature, secret);
        assert.equal(event.object, 'event');
        assert.deepEqual((await stripe.webhooks.constructEventAsync(payload, signature, secret)).id, event.id);
      }
    }
    const { payload, signature } = succeeded;
    const { StripeSignatureVerificationError } = Stripe.errors;
    assert.throws(() => stripe.webhooks.constructEvent(payload, signature, 'whsec_of_a_stranger'), StripeSignatureVerificationError);
    assert.throws(() => stripe.webhooks.constructEvent(`${payload} `, signature, WEBHOOK_SECRET), StripeSignatureVerificationError);
    const sent = stripe.webhooks.constructEvent(payload, signature, WEBHOOK_SECRET);
    const { data } = await stripe.events.retrieve(sent.id);
    assert.deepEqual(sent.data.object, data.object, 'it is what is listed');
    assert.equal(sent.data.object.description, 'Åsa’s cup 🙂');
  } finally {
    await control('PUT', '/webhooks', { target: ENDPOINT, secrets: [WEBHOOK_SECRET] });
    server.close();
  }
});
