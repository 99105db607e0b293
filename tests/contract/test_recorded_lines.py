"""Which test shows what was recorded from AWS, line by line of the specification, and which behaviours wait for a part.

A line is named by its section and its subject. A test that is renamed is renamed here; a line without one is in `OPEN`,
with the reason.
"""

import ast
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Final

import pytest

TESTS: Final = Path(__file__).parents[1]
FUNCTIONS: Final = "contract/functions/"
INVOCATION: Final = "contract/invocation/"
LAYERS: Final = "contract/layers/"
GATEWAY: Final = "contract/gateway/"
MAPPINGS: Final = "contract/event_sources/"
PC: Final = INVOCATION + "test_provisioned_concurrency.py::"
EVENTS: Final = "unit/invocation/test_event_queue.py::"
ANSWERS: Final = FUNCTIONS + "test_recorded_answers.py::"
ENVIRONMENT: Final = "unit/environments/test_environment.py::"
REPORT: Final = "unit/invocation/test_report.py::"
SAME_AS_LAMBDA: Final = (
    "contract/runtimes/test_same_as_awslambdaric.py::test_the_caller_and_the_log_see_what_they_see_with_awslambdaric"
)
VARIABLES: Final = "unit/runtimes/test_variables.py::test_a_function_gets_exactly_these_variables"
REFUSED_MAPPING: Final = MAPPINGS + "test_create.py::test_a_bad_request_is_refused_in_the_words_of_aws"

LINES: Final[Mapping[str, tuple[str, ...]]] = {
    "1.0 failed validation": (
        GATEWAY + "test_validation.py::test_a_failed_constraint_is_a_validation_exception_without_a_type",
        ANSWERS + "test_failed_constraints_are_told_in_the_words_of_aws",
    ),
    "1.0 another account without a resource policy": (
        FUNCTIONS + "test_cross_region.py::test_an_arn_of_another_account_is_denied_by_every_operation",
    ),
    "1.0 request too large": (
        GATEWAY + "test_server.py::test_an_upload_over_the_limit_is_refused_in_the_words_of_aws",
    ),
    "1.0 archive too large": (ANSWERS + "test_an_archive_of_50_mb_is_too_large_1_0",),
    "1.2 name and qualifier disagree": (
        FUNCTIONS + "test_names.py::test_a_name_and_a_qualifier_that_disagree_are_refused",
    ),
    "1.2 another region": (
        FUNCTIONS + "test_cross_region.py::test_an_arn_of_another_region_is_not_reachable_by_any_operation",
    ),
    "1.2 not found": (
        FUNCTIONS + "test_names.py::test_a_missing_function_is_named_by_its_arn",
        FUNCTIONS + "test_names.py::test_a_missing_version_or_alias_is_named_with_its_qualifier",
        INVOCATION + "test_invoke.py::test_a_missing_function",
        FUNCTIONS + "test_aliases.py::test_a_missing_alias_is_named",
    ),
    "1.2 bad name": (
        FUNCTIONS + "test_create.py::test_a_bad_bare_name_is_another_error_than_a_bad_arn",
        GATEWAY + "test_validation.py::test_delete_function_reports_the_pattern_first",
    ),
    "1.2 ARN without a name": (INVOCATION + "test_invoke.py::test_an_arn_without_a_name_or_of_another_region",),
    "1.3 architectures": (FUNCTIONS + "test_create.py::test_a_bad_request_is_refused_in_the_words_of_aws",),
    "1.3 environment of more than 4 KB, reserved names": (
        FUNCTIONS + "test_create.py::test_a_bad_request_is_refused_in_the_words_of_aws",
    ),
    "1.3 unknown runtime": (
        FUNCTIONS + "test_create.py::test_an_unknown_runtime_is_refused_with_the_list_in_the_order_of_the_model",
    ),
    "1.3 deprecated runtime": (
        FUNCTIONS + "test_deprecated_runtimes.py::test_a_function_of_a_deprecated_runtime_is_not_created",
    ),
    "1.3 no zip file": (FUNCTIONS + "test_create.py::test_a_bad_request_is_refused_in_the_words_of_aws",),
    "1.3 contents too large": (ANSWERS + "test_contents_of_250_mb_are_too_large_1_3",),
    "1.3 S3": (FUNCTIONS + "test_code_from_s3.py::test_an_object_that_cannot_be_had_is_named",),
    "1.3 subnets and security groups": (
        FUNCTIONS + "test_vpc.py::test_what_ec2_does_not_have_is_refused_in_the_words_of_aws",
    ),
    "1.3 package types": (FUNCTIONS + "test_images.py::test_code_of_the_other_kind_is_refused",),
    "1.3 an update without a change": (FUNCTIONS + "test_update.py::test_an_update_without_a_change_still_is_one",),
    "1.3 deletion": (
        FUNCTIONS + "test_versions.py::test_latest_and_aliases_are_not_deleted_by_qualifier",
        FUNCTIONS + "test_names.py::test_a_missing_function_is_named_by_its_arn",
    ),
    "1.3 lists": (
        FUNCTIONS + "test_read.py::test_lists_leave_out_the_state",
        FUNCTIONS + "test_read.py::test_another_value_than_all_is_a_validation_error",
    ),
    "1.4 the beginning of an update": (
        ANSWERS + "test_the_beginning_of_an_update_says_that_the_function_is_being_created_1_4",
        "unit/functions/test_transitions.py::test_old_code_serves_until_the_update_has_ended",
        EVENTS + "test_a_pending_function_is_waited_for",
    ),
    "1.4 an update under way": (ANSWERS + "test_an_update_under_way_refuses_the_next_change",),
    "1.5 publishing": (
        FUNCTIONS + "test_versions.py::test_publishing_without_a_change_gives_the_last_version_again",
        FUNCTIONS + "test_versions.py::test_a_code_digest_guards_publishing",
        FUNCTIONS + "test_create.py::test_publish_creates_version_1_with_an_unqualified_arn",
    ),
    "1.5 aliases": (
        FUNCTIONS + "test_aliases.py::test_an_alias_that_cannot_be_is_refused_and_leaves_nothing",
        FUNCTIONS + "test_aliases.py::test_members_out_of_the_model_are_validation_errors",
        FUNCTIONS + "test_aliases.py::test_a_second_alias_of_a_name_is_refused",
    ),
    "1.5 deletion of a missing alias": (FUNCTIONS + "test_aliases.py::test_deletion_is_204_also_of_a_missing_alias",),
    "1.5 revisions": (
        ANSWERS + "test_what_changes_the_revision_and_what_does_not_1_5",
        FUNCTIONS + "test_permissions.py::test_each_change_of_a_policy_is_a_revision_of_its_owner",
        FUNCTIONS + "test_resource_policies.py::test_it_is_the_document_that_permissions_are_added_to",
        FUNCTIONS + "test_aliases.py::test_each_update_is_a_new_revision_and_a_stale_one_is_refused",
        FUNCTIONS + "test_update.py::test_only_the_newest_revision_may_be_changed",
        LAYERS + "test_policies.py::test_a_revision_guards_every_change",
    ),
    "1.5, 1.8 and 1.11 errors without a Type": (ANSWERS + "test_a_few_errors_have_no_type",),
    "1.6 bad runtimes and architectures": (
        ANSWERS + "test_layers_tell_bad_runtimes_and_architectures_in_their_own_form_1_6",
    ),
    "1.12 a change of tags is a new revision": (
        FUNCTIONS + "test_tags.py::test_each_change_of_tags_is_a_new_revision",
    ),
    "1.9 the URL of a missing alias": (ANSWERS + "test_the_url_of_an_alias_that_is_not_there_cannot_be_updated_1_9",),
    "1.6 layers of functions": (LAYERS + "test_functions_with_layers.py::test_layers_are_refused_in_the_words_of_aws",),
    "1.6 layer versions": (LAYERS + "test_versions.py::test_a_version_that_is_not_there",),
    "1.6 policies of layers": (
        LAYERS + "test_policies.py::test_a_statement_id_is_used_once",
        LAYERS + "test_policies.py::test_statements_are_removed_one_by_one",
        LAYERS + "test_policies.py::test_a_version_that_is_not_there_has_no_policy",
    ),
    "1.7 the statement": (FUNCTIONS + "test_permissions.py::test_the_statement_is_text_in_the_order_of_aws",),
    "1.7 policies": (
        FUNCTIONS + "test_permissions.py::test_what_is_not_there_or_does_not_go_is_refused",
        FUNCTIONS + "test_permissions.py::test_a_policy_belongs_to_one_qualifier",
    ),
    "1.8 reserved concurrency": (
        FUNCTIONS + "test_reserved_concurrency.py::test_versions_and_aliases_have_none",
        FUNCTIONS + "test_reserved_concurrency.py::test_reservations_leave_100_to_the_others",
        PC + "test_account_settings_count_it",
    ),
    "1.8 provisioned concurrency": (
        PC + "test_environments_are_initialised_before_the_status_is_ready",
        PC + "test_a_failing_init_is_told",
        PC + "test_latest_cannot_be_provisioned",
        PC + "test_one_version_has_one_configuration",
        PC + "test_the_account_keeps_its_rest",
        PC + "test_not_more_than_is_reserved",
    ),
    "1.9 qualifier of a URL": (FUNCTIONS + "test_url_configs.py::test_versions_have_no_urls",),
    "1.9 InvokeMode": (FUNCTIONS + "test_url_configs.py::test_the_invoke_mode_is_told_when_it_was_sent",),
    "1.9 a second URL": (FUNCTIONS + "test_url_configs.py::test_a_second_url_of_the_same_function_is_a_conflict",),
    "1.9 the URL of a deleted alias": (
        INVOCATION + "test_function_url.py::test_the_url_of_a_deleted_alias_is_forbidden",
    ),
    "1.10 both destinations": (
        FUNCTIONS + "test_event_invoke_config.py::test_a_reply_has_a_qualifier_and_both_destinations_always",
    ),
    "1.10 destinations": (
        FUNCTIONS + "test_event_invoke_config.py::test_destinations_that_cannot_be",
        FUNCTIONS + "test_event_invoke_config.py::test_what_does_not_exist_has_no_configuration",
    ),
    "1.11 code signing": (
        FUNCTIONS + "test_code_signing.py::test_a_missing_configuration",
        FUNCTIONS + "test_code_signing.py::test_the_configuration_of_a_function_is_put_read_and_deleted",
        FUNCTIONS + "test_code_signing.py::test_a_missing_configuration_is_told_before_a_missing_function",
    ),
    "1.12 tags": (
        FUNCTIONS + "test_tags.py::test_bad_tagging_is_refused_in_the_words_of_aws",
        GATEWAY + "test_validation.py::test_missing_tag_keys_are_null",
    ),
    "7 session of a function with one character": (
        "unit/environments/test_parts.py::test_a_session_name_has_two_characters_at_least",
    ),
    "2.1 neither version nor body": (
        INVOCATION + "test_invoke.py::test_a_dry_run_is_204_without_version",
        INVOCATION + "test_events.py::test_an_event_is_accepted_without_version_and_body_and_then_runs",
    ),
    "2.1 a payload that is no JSON": (
        INVOCATION + "test_invoke.py::test_a_payload_that_is_not_json",
        "unit/invocation/test_payload.py::test_a_refusal_speaks_like_jackson",
    ),
    "2.1 a handler that returns nothing": (SAME_AS_LAMBDA,),
    "2.1 a response that is too large": (
        ENVIRONMENT + "test_a_response_over_the_limit_is_an_error_and_the_environment_stays_warm",
    ),
    "2.1 the ARN in the context is the one that was called": (
        INVOCATION + "test_invoke.py::test_every_form_of_a_name",
    ),
    "2.2 a handler or its module raises": (SAME_AS_LAMBDA,),
    "2.2 time-out": (
        ENVIRONMENT + "test_a_timeout_kills_and_resets_but_keeps_the_environment_and_its_log_stream",
        INVOCATION + "test_invoke.py::test_a_timeout_is_a_function_error",
    ),
    "2.2 exits": (
        ENVIRONMENT + "test_a_runtime_that_ends_is_reported_in_lambdas_words",
        "e2e/test_invoke_phases.py::test_failures_speak_lambdas_words",
    ),
    "2.4 throttles": (
        INVOCATION + "test_invoke.py::test_throttling_speaks_lambdas_words",
        INVOCATION + "test_reserved_concurrency.py::test_a_function_with_nothing_reserved_cannot_run",
    ),
    "2.4 reserved and provisioned": (PC + "test_what_is_provisioned_is_not_left_to_the_others",),
    "3.1 the address of the Runtime API": (VARIABLES,),
    "3.2 variables": (VARIABLES,),
    "3.4 a Reset keeps /tmp, the environment and its log stream": (
        "e2e/test_invoke_phases.py::test_after_a_timeout_tmp_is_kept_and_module_state_is_gone",
        ENVIRONMENT + "test_a_timeout_kills_and_resets_but_keeps_the_environment_and_its_log_stream",
    ),
    "4.1 INIT_START, START, END": (REPORT + "test_start_end_and_init_lines",),
    "4.1 REPORT": (
        REPORT + "test_a_warm_report_ends_with_a_tab",
        REPORT + "test_a_cold_report_shows_and_bills_init",
        REPORT + "test_failures_name_their_status",
        REPORT + "test_restore_lines_and_the_restore_in_a_report",
        REPORT + "test_a_trace_that_the_caller_samples_has_a_line_after_the_report",
    ),
    "4.1 lines of the function": (
        SAME_AS_LAMBDA,
        "e2e/test_invoke_phases.py::test_a_record_of_several_lines_is_one_event_and_prints_keep_their_place",
    ),
    "6.1 created disabled": (MAPPINGS + "test_create.py::test_a_mapping_created_disabled_is_disabled_at_once",),
    "6.1 StateTransitionReason": (MAPPINGS + "test_create.py::test_the_reply_shows_the_defaults_of_the_source",),
    "6.1 empty filters": (MAPPINGS + "test_create.py::test_empty_filter_criteria_are_not_in_the_reply",),
    "6.1 in use": (MAPPINGS + "test_update.py::test_the_whole_life_of_a_mapping",),
    "6.1 missing mapping": (MAPPINGS + "test_update.py::test_what_is_not_there_is_not_found",),
    "6.1 no source": (REFUSED_MAPPING,),
    "6.1 no function": (REFUSED_MAPPING,),
    "6.1 StartingPosition": (REFUSED_MAPPING,),
    "6.1 batch without a window": (REFUSED_MAPPING,),
    "6.1 destinations of queues": (REFUSED_MAPPING,),
    "6.1 Kafka without access": (REFUSED_MAPPING,),
    "6.1 filter": (REFUSED_MAPPING,),
    "6.1 missing queue or stream": (MAPPINGS + "test_existence.py::test_what_the_service_refuses_is_refused",),
    "6.1 duplicates": (MAPPINGS + "test_create.py::test_a_second_mapping_of_the_same_is_a_conflict",),
}

OPEN: Final[Mapping[str, str]] = {
    "2.2 errors of Node and Java": "their runtimes are not built",
    "1.6 list of runtimes": "AWS prints a longer list for ListLayers than for PublishLayerVersion; the model has one",
}

BEHAVIOURS: Final[Mapping[int, tuple[str, ...]]] = {
    1: (INVOCATION + "test_invoke.py::test_a_timeout_is_a_function_error",),
    2: ("e2e/test_invoke_phases.py::test_after_a_timeout_tmp_is_kept_and_module_state_is_gone",),
    3: LINES["1.5 revisions"],
    4: (FUNCTIONS + "test_permissions.py::test_each_change_of_a_policy_is_a_revision_of_its_owner",),
    5: LINES["1.4 the beginning of an update"],
    6: LINES["1.4 an update under way"],
    7: LINES["1.5 publishing"],
    8: LINES["1.3 lists"],
    9: (
        FUNCTIONS + "test_permissions.py::test_a_policy_belongs_to_one_qualifier",
        INVOCATION + "test_admission.py::test_a_grant_on_the_function_is_none_on_its_versions_and_aliases",
    ),
    10: (INVOCATION + "test_function_url.py::test_a_public_url_needs_both_statements",),
    11: (
        "unit/invocation/test_url_response.py::test_any_result_is_the_body_of_a_200",
        "unit/invocation/test_url_event.py::test_a_body_is_text_or_base64",
    ),
    12: LINES["1.10 both destinations"],
    13: (
        INVOCATION + "test_invoke.py::test_a_dry_run_is_204_without_version",
        INVOCATION + "test_events.py::test_an_event_is_accepted_without_version_and_body_and_then_runs",
    ),
    14: (
        INVOCATION + "test_invoke.py::test_function_errors_are_200_with_the_header",
        "unit/invocation/test_api.py::test_every_function_error_is_unhandled",
    ),
    15: (
        "unit/environments/test_environment.py"
        "::test_a_response_over_the_limit_is_an_error_and_the_environment_stays_warm",
    ),
    16: (INVOCATION + "test_invoke.py::test_throttling_speaks_lambdas_words",),
    17: (PC + "test_what_is_provisioned_is_not_left_to_the_others",),
    18: (
        EVENTS + "test_retries_come_after_one_and_two_minutes_with_one_request_id",
        EVENTS + "test_the_maximum_age_is_looked_at_ahead",
        EVENTS + "test_a_throttle_leaves_all_attempts",
        EVENTS + "test_nothing_reserved_goes_straight_to_the_destination",
    ),
    19: (EVENTS + "test_a_failure_goes_to_its_destination_and_to_the_dead_letter_queue",),
    20: (
        INVOCATION + "test_events.py::test_an_answered_invocation_has_no_destination",
        EVENTS + "test_a_bus_gets_source_lambda_and_two_resources",
    ),
    21: LINES["6.1 StateTransitionReason"],
    22: (
        "unit/event_sources/test_partial.py::test_nothing_said_is_success",
        "unit/event_sources/test_partial.py::test_what_is_not_in_order_fails_the_whole_batch",
        "unit/event_sources/test_poller.py::test_partial_failures_delete_the_others",
    ),
    23: ("unit/event_sources/test_poller.py::test_messages_that_the_filter_drops_are_deleted",),
    26: (
        "unit/invocation/test_report.py::test_a_warm_report_ends_with_a_tab",
        "unit/invocation/test_report.py::test_a_cold_report_shows_and_bills_init",
        "unit/invocation/test_report.py::test_failures_name_their_status",
    ),
    27: (
        "unit/environments/test_environment.py::test_a_failed_init_is_logged_and_repeated_inside_the_first_invocation",
        "unit/environments/test_environment.py"
        "::test_an_init_of_ten_seconds_times_out_and_then_runs_on_the_functions_time",
    ),
    28: (
        "unit/environments/test_extensions.py::test_the_time_to_end_depends_on_the_kinds_of_extensions",
        "unit/environments/test_extensions.py::test_a_timeout_tells_why_and_keeps_the_environment",
        "unit/environments/test_extensions.py::test_without_extensions_nobody_is_asked_to_end",
        "e2e/test_extensions.py::test_a_runtime_with_extensions_gets_sigterm_and_one_without_does_not",
    ),
    29: (
        VARIABLES,
        "unit/environments/test_extensions.py::test_everything_but_the_runtimes_own_variables_is_for_extensions",
        "e2e/test_snapstart.py::test_a_client_made_in_init_has_the_credentials_of_the_restored_environment",
    ),
    30: (
        *LINES["1.2 bad name"],
        *LINES["1.2 another region"],
        *LINES["1.2 name and qualifier disagree"],
        "unit/gateway/test_route.py::test_paths_find_their_operation",
        "unit/gateway/test_route.py::test_a_label_is_decoded_once_and_never_split",
    ),
}
"""By its number in the list of 30 that emulators usually get wrong."""

QUEUES: Final = "contract/sqs/"
BROKER: Final = QUEUES + "broker/"
PROTOCOLS: Final = GATEWAY + "test_sqs_protocols.py::"

QUEUE_BEHAVIOURS: Final[Mapping[int, tuple[str, ...]]] = {
    1: (
        PROTOCOLS + "test_an_error_in_json_has_the_name_of_its_shape_and_the_code_of_the_older_protocol",
        PROTOCOLS + "test_boto3_sees_both_names",
    ),
    2: (PROTOCOLS + "test_an_error_in_xml_has_its_own_text_and_an_empty_detail",),
    3: (
        PROTOCOLS + "test_each_error_has_its_status_and_both_names",
        QUEUES + "test_receipts.py::test_garbage_and_handles_of_another_queue",
        QUEUES + "test_queues.py::test_a_purge_takes_everything_once_a_minute",
    ),
    4: (
        PROTOCOLS + "test_an_empty_receive_is_an_empty_element_in_xml_and_no_key_in_json",
        QUEUES + "test_sending.py::test_a_batch_without_failures_has_no_list_of_them",
        QUEUES + "test_queues.py::test_no_names_and_names_of_what_is_not_set_give_no_attributes",
        QUEUES + "test_queues.py::test_listing_by_prefix_and_by_pages",
        QUEUES + "test_queues.py::test_tags",
        QUEUES + "test_dead_letters.py::test_tasks_that_cannot_start",
    ),
    5: (
        QUEUES + "test_queues.py::test_a_queue_is_found_by_name_by_path_and_by_any_host",
        PROTOCOLS + "test_the_path_of_a_queue_names_it_in_both_protocols_and_a_parameter_wins",
        PROTOCOLS + "test_what_the_path_of_a_queue_does_not_have",
    ),
    6: (PROTOCOLS + "test_nothing_in_a_body_is_changed_by_xml", QUEUES + "test_old_sdk.py::test_an_old_botocore"),
    7: (QUEUES + "test_queues.py::test_creating_again_compares_given_attributes_with_current_values",),
    8: (
        QUEUES + "test_queues.py::test_a_name_is_free_again_60_s_after_its_queue_was_deleted",
        QUEUES + "test_queues.py::test_a_purge_takes_everything_once_a_minute",
    ),
    9: (
        QUEUES + "test_sending.py::test_one_mebibyte_is_the_most",
        QUEUES + "test_sending.py::test_a_message_as_large_as_the_queue_takes",
        QUEUES + "test_sending.py::test_the_size_of_a_batch_does_not_depend_on_the_queue",
    ),
    10: (
        QUEUES + "test_queues.py::test_a_fresh_standard_queue_has_exactly_these_attributes",
        QUEUES + "test_queues.py::test_a_fresh_fifo_queue_has_four_more",
    ),
    11: (QUEUES + "test_queues.py::test_a_key_turns_the_queues_own_encryption_off_and_its_end_does_not_turn_it_on",),
    12: (QUEUES + "test_queues.py::test_an_attribute_that_a_standard_queue_does_not_have",),
    13: (
        QUEUES + "test_receiving.py::test_attributes_are_chosen_by_name_and_by_prefix",
        QUEUES + "test_sending.py::test_the_label_of_a_type_counts_in_the_checksum",
    ),
    14: (QUEUES + "test_receiving.py::test_attributes_are_chosen_by_name_and_by_prefix",),
    15: (
        QUEUES + "test_sending.py::test_a_group_and_a_deduplication_id_are_needed",
        QUEUES + "test_sending.py::test_one_entry_without_a_group_fails_the_batch",
        QUEUES + "test_sending.py::test_a_batch_stores_what_is_right_and_names_what_is_not",
    ),
    16: (
        QUEUES + "test_sending.py::test_a_group_on_a_standard_queue_comes_back",
        QUEUES + "test_sending.py::test_a_delay_is_the_queues",
    ),
    17: (
        QUEUES + "test_sending.py::test_a_duplicate_is_answered_with_the_first_ids",
        QUEUES + "test_sending.py::test_a_purge_forgets_what_was_sent",
        QUEUES + "test_sending.py::test_the_scope_of_deduplication_is_that_of_the_creation",
    ),
    18: (
        QUEUES + "test_receiving.py::test_a_locked_group_is_given_by_the_prefix_rule",
        BROKER + "test_fifo.py::test_an_earlier_message_that_is_released_comes_alone",
        BROKER + "test_fifo.py::test_a_waiting_receive_wakes_when_a_group_is_unlocked",
    ),
    19: (
        QUEUES + "test_receipts.py::test_a_fifo_queue_does_not",
        QUEUES + "test_receipts.py::test_a_standard_queue_deletes_by_an_expired_handle",
        QUEUES + "test_receipts.py::test_a_deletion_twice_is_no_error",
    ),
    20: (
        QUEUES + "test_receipts.py::test_a_change_of_what_is_expired_is_no_error_and_of_what_is_deleted_is_one",
        QUEUES + "test_receipts.py::test_an_older_handle_makes_a_message_visible_while_it_is_in_flight_again",
        QUEUES + "test_receipts.py::test_no_message_is_hidden_for_more_than_12_hours",
    ),
    21: (
        QUEUES + "test_dead_letters.py::test_a_message_moves_at_the_receive_after_its_last",
        BROKER + "test_dead_letters.py::test_on_fifo_a_dead_letter_unlocks_its_group_and_its_retention_begins_anew",
    ),
    22: (
        QUEUES + "test_receiving.py::test_a_long_poll_returns_with_the_first_message",
        BROKER + "test_standard.py::test_a_receive_that_waits_wakes_when_a_message_is_visible_again",
        QUEUES + "test_receiving.py::test_zero_beats_what_the_queue_waits",
        BROKER + "test_standard.py::test_visibility_zero_of_one_receive_beats_the_queue",
        QUEUES + "test_sending.py::test_a_delay_of_zero_beats_the_queues",
    ),
    23: (
        QUEUES + "test_receiving.py::test_messages_older_than_the_retention_are_gone_even_in_flight",
        QUEUES + "test_queues.py::test_a_purge_takes_everything_once_a_minute",
    ),
    24: (
        QUEUES + "test_dead_letters.py::test_a_task_moves_messages_back_as_new_ones",
        QUEUES + "test_dead_letters.py::test_a_task_that_is_slow_can_be_cancelled",
        QUEUES + "test_dead_letters.py::test_tasks_that_cannot_start",
    ),
    25: (
        QUEUES + "test_receiving.py::test_what_a_message_tells_of_itself",
        QUEUES + "test_queues.py::test_times_of_a_queue_are_seconds_as_text",
        QUEUES + "test_permissions.py::test_permissions_make_a_policy",
        QUEUES + "test_sending.py::test_the_trace_header_of_the_request_takes_its_place",
    ),
}
"""The same of the list of 25 that emulators of SQS usually get wrong."""

WAITING: Final[Mapping[int, str]] = {
    24: "records of failed batches come with the pollers of streams",
    25: "splitting of batches comes with the pollers of streams",
}


@cache
def names_of(file: str) -> frozenset[str]:
    tree = ast.parse((TESTS / file).read_text(encoding="utf-8"))
    return frozenset(
        node.name
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith("test_")
    )


@pytest.mark.parametrize(
    ("line", "shown_by"),
    [
        *LINES.items(),
        *((f"behaviour {number}", shown) for number, shown in BEHAVIOURS.items()),
        *((f"behaviour {number} of SQS", shown) for number, shown in QUEUE_BEHAVIOURS.items()),
    ],
)
def test_a_recorded_line_has_its_test(line: str, shown_by: tuple[str, ...]) -> None:
    for test in shown_by:
        file, _, name = test.partition("::")
        assert name in names_of(file), f"{line}: {test}"


def test_every_behaviour_is_shown_or_waits() -> None:
    assert sorted([*BEHAVIOURS, *WAITING]) == list(range(1, 31))
    assert sorted(QUEUE_BEHAVIOURS) == list(range(1, 26))
    assert not OPEN.keys() & LINES.keys()
