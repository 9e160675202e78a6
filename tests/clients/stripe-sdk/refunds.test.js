// Refunds and disputes.
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { test } from 'node:test';

import Stripe from 'stripe';

import { RETURN_URL, control, newIntent, paidIntent, refusal, sdk } from './shop.js';

const stripe = sdk();

test('money goes back in parts, and never more than came', async () => {
  const paid = await paidIntent(stripe);
  const metadata = { refund_id: 'ours' };
  const part = await stripe.refunds.create({ payment_intent: paid.id, amount: 500, reason: 'requested_by_customer', metadata });
  assert.deepEqual([part.status, part.amount, part.payment_intent], ['succeeded', 500, paid.id]);
  assert.deepEqual(part.metadata, metadata);
  const tooMuch = stripe.refunds.create({ payment_intent: paid.id, amount: 1500 });
  const refused = await refusal(tooMuch, Stripe.errors.StripeInvalidRequestError);
  assert.deepEqual([refused.param, refused.statusCode], ['amount', 400]);
  assert.match(refused.message, /greater than unrefunded amount/);
  const rest = await stripe.refunds.create({ payment_intent: paid.id });
  assert.equal(rest.amount, 1499);
  const nothing = await refusal(stripe.refunds.create({ payment_intent: paid.id }), Stripe.errors.StripeInvalidRequestError);
  assert.equal(nothing.code, 'charge_already_refunded');
  const charge = await stripe.charges.retrieve(paid.latest_charge);
  assert.deepEqual([charge.refunded, charge.amount_refunded], [true, 1999]);
  const listed = await stripe.refunds.list({ payment_intent: paid.id, limit: 1 }).autoPagingToArray({ limit: 10 });
  assert.deepEqual(listed.map((refund) => refund.id), [rest.id, part.id]);
  const seen = await stripe.refunds.retrieve(part.id, { expand: ['charge', 'payment_intent.latest_charge'] });
  assert.deepEqual([seen.charge.id, seen.payment_intent.latest_charge.id], [charge.id, charge.id]);
});

test('a refund under a key is made once', async () => {
  const paid = await paidIntent(stripe);
  const ask = (idempotencyKey) => stripe.refunds.create({ payment_intent: paid.id, amount: 100 }, { idempotencyKey });
  const key = randomUUID();
  assert.equal((await ask(key)).id, (await ask(key)).id);
  assert.equal((await stripe.refunds.list({ charge: paid.latest_charge })).data.length, 1);
});

test('what was not paid is not refunded', async () => {
  const unpaid = await newIntent(stripe);
  const refused = await refusal(stripe.refunds.create({ payment_intent: unpaid.id }), Stripe.errors.StripeInvalidRequestError);
  assert.equal(refused.param, 'payment_intent');
});

test('a refund may wait, and may fail afterwards', async () => {
  const intent = await newIntent(stripe);
  await stripe.paymentIntents.confirm(intent.id, { payment_method: 'pm_card_pendingRefund', return_url: RETURN_URL });
  const waiting = await stripe.refunds.create({ payment_intent: intent.id });
  assert.equal(waiting.status, 'pending');
  await control('POST', `/refunds/${waiting.id}`, { status: 'failed' });
  const failed = await stripe.refunds.retrieve(waiting.id);
  assert.deepEqual([failed.status, typeof failed.failure_reason], ['failed', 'string']);
});

test('a disputed payment is not refunded until the dispute is won', async () => {
  const intent = await newIntent(stripe);
  await stripe.paymentIntents.confirm(intent.id, { payment_method: 'pm_card_createDispute', return_url: RETURN_URL });
  const { data } = await stripe.disputes.list({ payment_intent: intent.id });
  assert.deepEqual([data.length, data[0].status, data[0].reason], [1, 'needs_response', 'fraudulent']);
  const refused = await refusal(stripe.refunds.create({ payment_intent: intent.id }), Stripe.errors.StripeInvalidRequestError);
  assert.equal(refused.code, 'charge_disputed');
  await control('POST', `/disputes/${data[0].id}`, { status: 'won' });
  assert.equal((await stripe.disputes.retrieve(data[0].id)).status, 'won');
});
