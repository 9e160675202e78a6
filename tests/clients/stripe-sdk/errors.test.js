// Errors: each is of the class that the SDK has for it, with Stripe's codes.
import assert from 'node:assert/strict';
import { test } from 'node:test';

import Stripe from 'stripe';

import { RETURN_URL, control, newIntent, refusal, sdk } from './shop.js';

const stripe = sdk();
const {
  StripeAPIError,
  StripeAuthenticationError,
  StripeCardError,
  StripeConnectionError,
  StripeInvalidRequestError,
  StripePermissionError,
  StripeRateLimitError,
} = Stripe.errors;

for (const [method, code, declineCode] of [
  ['pm_card_visa_chargeDeclined', 'card_declined', 'generic_decline'],
  ['pm_card_visa_chargeDeclinedInsufficientFunds', 'card_declined', 'insufficient_funds'],
  ['pm_card_chargeDeclinedExpiredCard', 'expired_card', 'expired_card'],
  ['pm_card_chargeDeclinedIncorrectCvc', 'incorrect_cvc', 'incorrect_cvc'],
  ['pm_card_chargeDeclinedProcessingError', 'processing_error', 'processing_error'],
]) {
  test(`${method} is declined, and another card may be tried`, async () => {
    const intent = await newIntent(stripe);
    const confirm = (payment_method) => stripe.paymentIntents.confirm(intent.id, { payment_method, return_url: RETURN_URL });
    const error = await refusal(confirm(method), StripeCardError);
    assert.deepEqual([error.statusCode, error.rawType, error.code, error.decline_code], [402, 'card_error', code, declineCode]);
    assert.match(error.charge, /^ch_/);
    assert.match(error.requestId, /^req_/);
    assert.ok(error.doc_url && error.message);
    assert.deepEqual([error.payment_intent.id, error.payment_intent.status], [intent.id, 'requires_payment_method']);
    assert.equal(error.payment_method.type, 'card');
    const now = await stripe.paymentIntents.retrieve(intent.id);
    assert.deepEqual([now.last_payment_error.code, now.last_payment_error.decline_code], [code, declineCode]);
    assert.equal((await confirm('pm_card_visa')).status, 'succeeded');
  });
}

test('off session, a card that asks for authentication is declined', async () => {
  const params = { confirm: true, off_session: true, payment_method: 'pm_card_authenticationRequired', return_url: RETURN_URL };
  assert.equal((await refusal(newIntent(stripe, params), StripeCardError)).code, 'authentication_required');
});

for (const [what, params, param, code] of [
  ['no amount', { amount: undefined }, 'amount', 'parameter_missing'],
  ['no currency', { currency: undefined }, 'currency', 'parameter_missing'],
  ['an amount below the minimum', { amount: 1 }, 'amount', 'amount_too_small'],
  ['an amount that is no number', { amount: 'much' }, 'amount', 'parameter_invalid_integer'],
  ['a parameter that does not exist', { colour: 'red' }, 'colour', 'parameter_unknown'],
  ['a payment method that does not exist', { payment_method: 'pm_nobody', confirm: true, return_url: RETURN_URL }, 'payment_method', 'resource_missing'],
]) {
  test(`${what} is refused by name`, async () => {
    const error = await refusal(newIntent(stripe, params), StripeInvalidRequestError);
    assert.deepEqual([error.param, error.code], [param, code]);
    assert.ok(error.statusCode === 400 || error.statusCode === 404);
  });
}

test('what does not exist is missing', async () => {
  for (const [resource, id] of [
    [stripe.paymentIntents, 'pi_nobody'],
    [stripe.charges, 'ch_nobody'],
    [stripe.refunds, 're_nobody'],
    [stripe.disputes, 'dp_nobody'],
    [stripe.events, 'evt_nobody'],
  ]) {
    const error = await refusal(resource.retrieve(id), StripeInvalidRequestError);
    assert.deepEqual([error.statusCode, error.code], [404, 'resource_missing']);
  }
});

test('what can not be expanded is refused', async () => {
  const { id } = await newIntent(stripe);
  await refusal(stripe.paymentIntents.retrieve(id, { expand: ['amount'] }), StripeInvalidRequestError);
});

test('a wrong key is told from a right one, without repeating it', async () => {
  const error = await refusal(newIntent(sdk('sk_test_of_a_stranger_1234')), StripeAuthenticationError);
  assert.equal(error.statusCode, 401);
  assert.ok(!error.message.includes('of_a_stranger'), error.message);
});

test('a publishable key may not do what a secret one may', async () => {
  await refusal(newIntent(sdk('pk_test_kassa_dev_simulator')), StripePermissionError);
});

for (const [answer, errorClass] of [
  [{ kind: 'status', status: 429 }, StripeRateLimitError],
  [{ kind: 'status', status: 500 }, StripeAPIError],
  [{ kind: 'html', status: 502 }, StripeAPIError],
  [{ kind: 'truncated' }, StripeAPIError],
  [{ kind: 'reset' }, StripeConnectionError],
]) {
  test(`${JSON.stringify(answer)} is a ${errorClass.name}`, async () => {
    // The SDK asks again by itself after its first reset.
    const times = answer.kind === 'reset' ? 2 : 1;
    await control('POST', '/faults', { method: 'GET', path: '/v1/events', times, answer });
    await refusal(stripe.events.list(), errorClass);
    assert.equal((await stripe.events.list()).object, 'list');
  });
}

test('the SDK gets over a Stripe that is down for a moment, when it may ask again', async () => {
  await control('POST', '/faults', { method: 'GET', path: '/v1/events', times: 2, answer: { kind: 'status', status: 503 } });
  assert.equal((await sdk(undefined, { maxNetworkRetries: 2 }).events.list()).object, 'list');
});
