"""The codes that the gateways document, and whose side each of them is on. Pure.

This is a list of what may be shown, too: a code that is not on it could be anything, a card's number for instance, so
it is only counted. Sources:
https://docs.stripe.com/declines/codes, https://docs.stripe.com/error-codes, https://docs.stripe.com/error-handling,
https://www.mercadopago.com.br/developers/en/docs/checkout-api-payments/how-tos/improve-payment-approval/reasons-for-rejection
"""

from __future__ import annotations

from enum import StrEnum


class Side(StrEnum):
    """Whose side a failure is on."""

    GATEWAY = "gateway"
    GUEST = "guest"
    OURS = "ours"
    UNKNOWN = "unknown"


WORDS = {
    Side.GATEWAY: "the gateway's side",
    Side.GUEST: "the guest's or the bank's side",
    Side.OURS: "our side",
    Side.UNKNOWN: "unknown",
}

_GATEWAY = """
    api_error api_connection_error processing_error lock_timeout payment_method_provider_timeout
    StripeAPIError StripeConnectionError APIError APIConnectionError
    bank_error cc_rejected_time_out internal_error internal_server_error gateway_timeout service_unavailable
"""
_GUEST = """
    authentication_required approve_with_id call_issuer card_not_supported card_velocity_exceeded
    currency_not_supported do_not_honor do_not_try_again duplicate_transaction expired_card fraudulent
    generic_decline highest_risk_level incorrect_address incorrect_cvc incorrect_number incorrect_pin incorrect_zip
    insufficient_funds invalid_account invalid_amount invalid_cvc invalid_expiry_month invalid_expiry_year
    invalid_number invalid_pin issuer_not_available lost_card merchant_blacklist
    mobile_device_authentication_required new_account_information_available no_action_taken not_permitted
    offline_pin_required online_or_offline_pin_required pickup_card pin_try_exceeded
    previously_declined_do_not_retry reenter_transaction requested_block_on_incorrect_cvc restricted_card
    revocation_of_all_authorizations revocation_of_authorization security_violation service_not_allowed stolen_card
    stop_payment_order transaction_not_allowed try_again_later withdrawal_count_limit_exceeded card_declined
    card_decline_rate_limit_exceeded card_error issuer_declined CardError StripeCardError invalid_card_type
    postal_code_invalid payment_intent_authentication_failure payment_intent_payment_attempt_expired
    payment_intent_payment_attempt_failed payment_method_customer_decline payment_method_provider_decline
    cc_amount_rate_limit_exceeded cc_rejected_3ds_challenge cc_rejected_3ds_mandatory
    cc_rejected_bad_filled_card_number cc_rejected_bad_filled_date cc_rejected_bad_filled_other
    cc_rejected_bad_filled_security_code cc_rejected_blacklist cc_rejected_call_for_authorize
    cc_rejected_card_disabled cc_rejected_card_error cc_rejected_card_type_not_allowed
    cc_rejected_duplicated_payment cc_rejected_high_risk cc_rejected_insufficient_amount
    cc_rejected_invalid_installments cc_rejected_max_attempts cc_rejected_other_reason rejected_by_bank
    rejected_by_issuer rejected_by_regulations rejected_high_risk rejected_insufficient_data rejected_other_reason
    insufficient_amount expired by_payer
"""
_KEY = """
    api_key_expired platform_api_key_expired secret_key_required authentication_error AuthenticationError
    StripeAuthenticationError invalid_access_token invalid_token unauthorized
"""
_OURS = """
    account_invalid amount_too_large amount_too_small country_unsupported currency_not_enabled idempotency_error
    idempotency_key_in_use invalid_request_error InvalidRequestError StripeInvalidRequestError StripeIdempotencyError
    StripeRateLimitError StripePermissionError StripeSignatureVerificationError IdempotencyError RateLimitError
    PermissionError SignatureVerificationError rate_limit_error rate_limit permission_error livemode_mismatch
    more_permissions_required not_allowed_on_standard_account parameter_invalid_empty parameter_invalid_integer
    parameter_invalid_string_blank parameter_invalid_string_empty parameter_missing parameter_unknown
    parameters_exclusive payment_intent_incompatible_payment_method payment_intent_invalid_parameter
    payment_intent_unexpected_state payment_method_invalid_parameter payment_method_unactivated
    payment_method_unexpected_state payment_method_unsupported_type platform_account_required request_blocked
    resource_already_exists resource_missing testmode_charges_only testmode_decline tls_version_unsupported
    token_already_used token_card_network_invalid token_in_use url_invalid
    rejected_by_biz_rule by_collector by_admin bad_request forbidden not_found too_many_requests local_rate_limited
    PA_UNAUTHORIZED_RESULT_FROM_POLICIES
"""

KEY = frozenset(_KEY.split())
"""Said of the key that we identify ourselves with."""

_SIDES = {
    **dict.fromkeys(_GATEWAY.split(), Side.GATEWAY),
    **dict.fromkeys(_GUEST.split(), Side.GUEST),
    **dict.fromkeys(_OURS.split(), Side.OURS),
    **dict.fromkeys(KEY, Side.OURS),
}

_STATUS = {
    **dict.fromkeys(("500", "502", "503", "504", "424"), Side.GATEWAY),
    "402": Side.GUEST,
    **dict.fromkeys(("400", "401", "403", "404", "409", "429"), Side.OURS),
}
"""HTTP status codes: https://docs.stripe.com/api/errors"""

KEY_STATUS = "401"

UNDOCUMENTED = "(not documented)"
MISSING = "(no code)"


def side_of(code: str) -> Side:
    """Whose side a code is on; an HTTP status as "HTTP 401"."""
    if code.startswith("HTTP "):
        return _STATUS.get(code.removeprefix("HTTP "), Side.UNKNOWN)
    return _SIDES.get(code, Side.UNKNOWN)


def is_code(text: str) -> bool:
    """Whether a text is, letter by letter, one of the codes that are documented."""
    return text in _SIDES


def is_status(text: str) -> bool:
    """Whether a text is an HTTP status that says that something failed."""
    return text in _STATUS


def says_key(code: str) -> bool:
    """Whether a code says that the gateway does not accept our key."""
    return code in KEY or code == f"HTTP {KEY_STATUS}"
