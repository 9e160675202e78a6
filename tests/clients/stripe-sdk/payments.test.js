// PaymentIntents: created, confirmed, retrieved, listed, canceled.
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { test } from 'node:test';

import Stripe from 'stripe';

import { RETURN_URL, control, newIntent, paidIntent, refusal, sdk, until } from './shop.js';

const stripe = sdk();

test('an intent is created as it was asked for, and retrieved as it was created', async () => {
  const metadata = { purpose: 'a test', 'with space': 'é&=[]' };
  const shipping = { name: 'Ada', address: { line1: '1 High Street', city: 'Bath', country: 'GB' } };
  const created = await newIntent(stripe, { metadata, shipping, description: 'Two cups', receipt_email: 'ada@kassa.example' });
  assert.match(created.id, /^pi_\w+$/);
  assert.ok(created.client_secret.startsWith(`${created.id}_secret_`));
  assert.equal(created.status, 'requires_payment_method');
  assert.deepEqual([created.amount, created.currency, created.amount_received], [1999, 'usd', 0]);
  assert.deepEqual(created.metadata, metadata);
  assert.equal(created.shipping.address.city, 'Bath');
  assert.match(created.lastResponse.requestId, /^req_/);
  assert.equal(created.lastResponse.statusCode, 200);
  assert.equal(created.lastResponse.apiVersion, Stripe.API_VERSION);

  const retrieved = await stripe.paymentIntents.retrieve(created.id);
  assert.deepEqual({ ...retrieved }, { ...created });
});

test('a key gives the same intent again, in whatever order its parameters come', async () => {
  const idempotencyKey = randomUUID();
  const params = { amount: 700, currency: 'usd', metadata: { a: '1', b: '2' } };
  const first = await stripe.paymentIntents.create(params, { idempotencyKey });
  assert.equal(first.lastResponse.idempotencyKey, idempotencyKey);
  assert.equal(first.lastResponse.headers['idempotent-replayed'], undefined);
  const again = await stripe.paymentIntents.create(params, { idempotencyKey });
  assert.equal(again.id, first.id);
  assert.equal(again.lastResponse.headers['idempotent-replayed'], 'true');
  const turned = { metadata: { b: '2', a: '1' }, currency: 'usd', amount: 700 };
  assert.equal((await stripe.paymentIntents.create(turned, { idempotencyKey })).id, first.id);
});

test('a key with other parameters, or at another endpoint, is an error', async () => {
  const idempotencyKey = randomUUID();
  const intent = await newIntent(stripe, {}, { idempotencyKey });
  const other = await refusal(newIntent(stripe, { amount: 5 }, { idempotencyKey }), Stripe.errors.StripeIdempotencyError);
  assert.deepEqual([other.statusCode, other.rawType], [400, 'idempotency_error']);
  assert.match(other.message, /same parameters/);
  const elsewhere = stripe.paymentIntents.cancel(intent.id, {}, { idempotencyKey });
  assert.match((await refusal(elsewhere, Stripe.errors.StripeIdempotencyError)).message, /same endpoint/);
});

test('a reply that gets lost makes no second intent: the SDK asks again under its own key', async () => {
  const patient = sdk(undefined, { maxNetworkRetries: 2 });
  const marker = randomUUID();
  await control('POST', '/faults', { method: 'POST', path: '/v1/payment_intents', times: 1, at: 'after', answer: { kind: 'reset' } });
  const intent = await newIntent(patient, { metadata: { marker } });
  assert.equal(intent.lastResponse.headers['idempotent-replayed'], 'true');
  const all = await stripe.paymentIntents.list({ limit: 100 }).autoPagingToArray({ limit: 1000 });
  assert.equal(all.filter((one) => one.metadata.marker === marker).length, 1);
});

test('a good card pays, and the charge tells how', async () => {
  const paid = await paidIntent(stripe);
  assert.deepEqual([paid.status, paid.amount_received], ['succeeded', 1999]);
  const seen = await stripe.paymentIntents.retrieve(paid.id, { expand: ['latest_charge', 'payment_method'] });
  assert.equal(seen.latest_charge.payment_intent, paid.id);
  assert.deepEqual([seen.latest_charge.paid, seen.latest_charge.captured], [true, true]);
  assert.equal(seen.latest_charge.payment_method_details.card.last4, '4242');
  assert.equal(seen.payment_method.card.brand, 'visa');
  const charge = await stripe.charges.retrieve(seen.latest_charge.id, { expand: ['payment_intent'] });
  assert.equal(charge.payment_intent.id, paid.id);
});

test('created and confirmed at once', async () => {
  const params = { confirm: true, payment_method: 'pm_card_mastercard', return_url: RETURN_URL };
  assert.equal((await newIntent(stripe, params)).status, 'succeeded');
});

test('3-D Secure: the bank asks, the shopper answers, and only then it is paid', async () => {
  const intent = await newIntent(stripe);
  const params = { payment_method: 'pm_card_threeDSecure2Required', return_url: RETURN_URL };
  const asked = await stripe.paymentIntents.confirm(intent.id, params);
  assert.equal(asked.status, 'requires_action');
  assert.equal(asked.next_action.type, 'redirect_to_url');
  assert.equal(asked.next_action.redirect_to_url.return_url, RETURN_URL);
  // What the shopper's browser does on that page.
  const body = new URLSearchParams({ outcome: 'succeeded' });
  const sent = await fetch(asked.next_action.redirect_to_url.url, { method: 'POST', body, redirect: 'manual' });
  const back = new URL(sent.headers.get('location'));
  assert.deepEqual([back.searchParams.get('payment_intent'), back.searchParams.get('redirect_status')], [intent.id, 'succeeded']);
  assert.equal((await stripe.paymentIntents.retrieve(intent.id)).status, 'succeeded');
});

test('3-D Secure that fails leaves the intent to be paid otherwise', async () => {
  const intent = await newIntent(stripe);
  await stripe.paymentIntents.confirm(intent.id, { payment_method: 'pm_card_threeDSecure2Required', return_url: RETURN_URL });
  await control('POST', `/payment_intents/${intent.id}/authenticate`, { outcome: 'failed' });
  const failed = await stripe.paymentIntents.retrieve(intent.id);
  assert.equal(failed.status, 'requires_payment_method');
  assert.equal(failed.last_payment_error.code, 'payment_intent_authentication_failure');
});

test('a debit is processing until it settles', async () => {
  const intent = await newIntent(stripe);
  const params = { payment_method: 'pm_usBankAccount_success', return_url: RETURN_URL };
  assert.equal((await stripe.paymentIntents.confirm(intent.id, params)).status, 'processing');
  await until('it settles', async () => (await stripe.paymentIntents.retrieve(intent.id)).status === 'succeeded');
});

test('an unpaid intent is canceled, once and for all', async () => {
  const intent = await newIntent(stripe);
  const canceled = await stripe.paymentIntents.cancel(intent.id, { cancellation_reason: 'abandoned' });
  assert.deepEqual([canceled.status, canceled.cancellation_reason], ['canceled', 'abandoned']);
  const again = await refusal(stripe.paymentIntents.cancel(intent.id), Stripe.errors.StripeInvalidRequestError);
  assert.deepEqual([again.code, again.payment_intent?.status], ['payment_intent_unexpected_state', 'canceled']);
  const confirmed = stripe.paymentIntents.confirm(intent.id, { payment_method: 'pm_card_visa', return_url: RETURN_URL });
  assert.equal((await refusal(confirmed, Stripe.errors.StripeInvalidRequestError)).code, 'payment_intent_unexpected_state');
});

test('lists are paged by the SDK itself, both ways, and filtered', async () => {
  const marker = randomUUID();
  const made = [];
  for (let i = 0; i < 7; i += 1) made.push((await newIntent(stripe, { metadata: { marker } })).id);
  const seen = [];
  for await (const intent of stripe.paymentIntents.list({ limit: 3 })) {
    if (intent.metadata.marker !== marker) break;
    seen.push(intent.id);
  }
  assert.deepEqual(seen, made.toReversed(), 'the newest first, without a gap');
  const upwards = await stripe.paymentIntents.list({ limit: 2, ending_before: made[0] }).autoPagingToArray({ limit: 6 });
  assert.deepEqual(upwards.map((intent) => intent.id), made.slice(1), 'upwards from the oldest');
  const page = await stripe.paymentIntents.list({ limit: 3 });
  assert.deepEqual([page.object, page.data.length, page.has_more, page.url], ['list', 3, true, '/v1/payment_intents']);
  const tomorrow = Math.floor(Date.now() / 1000) + 86_400;
  assert.deepEqual((await stripe.paymentIntents.list({ created: { gte: tomorrow } })).data, []);
  const expanded = await paidIntent(stripe);
  const [latest] = (await stripe.paymentIntents.list({ limit: 1, expand: ['data.latest_charge'] })).data;
  assert.deepEqual([latest.id, latest.latest_charge.object], [expanded.id, 'charge']);
});

test('events tell the story of an intent', async () => {
  const paid = await paidIntent(stripe);
  const types = ['payment_intent.created', 'payment_intent.succeeded'];
  const told = await stripe.events.list({ types, limit: 5 }).autoPagingToArray({ limit: 1000 });
  const story = told.filter((event) => event.data.object.id === paid.id);
  assert.deepEqual(story.map((event) => event.type), types.toReversed());
  const event = await stripe.events.retrieve(story[0].id);
  assert.deepEqual([event.object, event.data.object.status, event.livemode], ['event', 'succeeded', false]);
  const charges = await stripe.events.list({ type: 'charge.*', limit: 1 });
  assert.equal(charges.data[0].type, 'charge.succeeded');
});
