// A purchase at the shop, paid and given back by Stripe's own SDK.
import assert from 'node:assert/strict';
import { test } from 'node:test';

import Stripe from 'stripe';

import { RETURN_URL, control, inspect, orderThatIs, orderToPay, refusal, sdk, until } from './shop.js';

const stripe = sdk();

/** Confirms as the shopper's browser does: by the publishable key and the client secret that the order gives. */
function confirm({ order }, payment_method) {
  const { publishable_key, intent_id, client_secret } = order.payment;
  return sdk(publishable_key).paymentIntents.confirm(intent_id, { client_secret, payment_method, return_url: RETURN_URL });
}

test('an order is paid by the client secret, and its intent is the order’s', async () => {
  const bought = await orderToPay();
  const { order } = bought;
  const intent = await stripe.paymentIntents.retrieve(order.payment.intent_id);
  assert.deepEqual([intent.amount, intent.currency, intent.metadata.order_id], [order.total, order.currency, order.id]);
  const confirmed = await confirm(bought, 'pm_card_visa');
  assert.equal(confirmed.status, 'succeeded');
  assert.equal(confirmed.metadata, undefined, 'a browser is not shown what is the shop’s');
  const paid = await orderThatIs('paid', bought);
  assert.equal(paid.payment.client_secret, null);
});

test('the client secret of another order pays nothing', async () => {
  const [mine, other] = [await orderToPay(), await orderToPay()];
  const mixed = { order: { payment: { ...mine.order.payment, client_secret: other.order.payment.client_secret } } };
  await refusal(confirm(mixed, 'pm_card_visa'), Stripe.errors.StripeInvalidRequestError);
  await confirm(mine, 'pm_card_visa');
  await orderThatIs('paid', mine);
});

test('a declined card is told to the shopper, and the next one pays', async () => {
  const bought = await orderToPay();
  const error = await refusal(confirm(bought, 'pm_card_visa_chargeDeclinedInsufficientFunds'), Stripe.errors.StripeCardError);
  assert.equal(error.decline_code, 'insufficient_funds');
  const failed = await orderThatIs('payment_failed', bought);
  assert.equal(failed.payment.last_error.code, 'insufficient_funds');
  assert.equal(failed.payment.client_secret, bought.order.payment.client_secret);
  await confirm(bought, 'pm_card_visa');
  await orderThatIs('paid', bought);
});

test('an order is paid once the shopper has authenticated', async () => {
  const bought = await orderToPay();
  assert.equal((await confirm(bought, 'pm_card_authenticationRequired')).status, 'requires_action');
  await control('POST', `/payment_intents/${bought.order.payment.intent_id}/authenticate`, { outcome: 'succeeded' });
  await orderThatIs('paid', bought);
});

test('refunds made at Stripe, as in its dashboard, are booked at the shop', async () => {
  const bought = await orderToPay();
  await confirm(bought, 'pm_card_visa');
  await orderThatIs('paid', bought);
  const part = await stripe.refunds.create({ payment_intent: bought.order.payment.intent_id, amount: 100 });
  const partly = await until('the part is booked', async () => {
    const now = await inspect(bought);
    return now.refunded_total === 100 ? now : null;
  });
  assert.equal(partly.status, 'paid');
  assert.deepEqual(
    partly.refunds.map((refund) => [refund.stripe_refund_id, refund.amount, refund.status]),
    [[part.id, 100, 'succeeded']],
  );
  await stripe.refunds.create({ payment_intent: bought.order.payment.intent_id });
  const refunded = await orderThatIs('refunded', bought);
  assert.equal(refunded.refunded_total, bought.order.total);
});

test('an intent canceled at Stripe cancels its order', async () => {
  const bought = await orderToPay();
  await stripe.paymentIntents.cancel(bought.order.payment.intent_id);
  await orderThatIs('canceled', bought);
});
