from libc.stddef cimport size_t
from libc.stdint cimport int32_t, int64_t, uint64_t

from lcrt.native.c_backend cimport c_bool, lcrt_backend
from lcrt.native.c_grammar cimport lcrt_grammar
from lcrt.native.c_sampling cimport lcrt_sampling
from lcrt.native.c_status cimport lcrt_status


cdef extern from "lcrt/engine.h" nogil:
    ctypedef struct lcrt_engine:
        pass

    ctypedef struct lcrt_cache_params:
        int64_t ram_len
        int64_t disk_len
        const char *dir
        const char *version
        const char *model
        const char *setup

    ctypedef struct lcrt_engine_params:
        int32_t n_slots
        int32_t n_chunk_min
        int32_t n_chunk
        int64_t latency_target_ns
        int64_t wake_interval_ns
        int32_t n_sampler_threads
        int32_t max_queue
        size_t events_len
        lcrt_cache_params cache
        int32_t n_draft
        const lcrt_backend *drafter

    lcrt_engine_params lcrt_engine_params_default()

    ctypedef struct lcrt_job:
        uint64_t id
        const int32_t *tokens
        int32_t n_tokens
        int32_t max_tokens
        int32_t n_ctx
        int32_t n_keep
        c_bool shift
        c_bool cache
        uint64_t set
        c_bool ignore_eog
        c_bool special
        int32_t n_logprobs
        lcrt_sampling sampling
        const char *const *stops
        int32_t n_stops
        lcrt_grammar grammar

    ctypedef enum lcrt_finish:
        LCRT_FINISH_NONE
        LCRT_FINISH_STOP
        LCRT_FINISH_LENGTH
        LCRT_FINISH_CANCEL
        LCRT_FINISH_ERROR

    ctypedef enum lcrt_event_kind:
        LCRT_EVENT_START
        LCRT_EVENT_TEXT
        LCRT_EVENT_FINISH

    ctypedef struct lcrt_usage:
        int32_t n_prompt
        int32_t n_cached
        int32_t n_host
        int32_t n_disk
        int32_t n_generated
        int32_t n_sampled
        int32_t n_shifts
        int32_t n_drafted
        int32_t n_accepted
        int64_t queued_ns
        int64_t prefill_ns
        int64_t decode_ns

    ctypedef struct lcrt_logprob:
        int32_t token
        float logprob

    ctypedef struct lcrt_event:
        uint64_t job
        lcrt_event_kind kind
        lcrt_finish finish
        lcrt_status status
        int32_t n_tokens
        const char *text
        int32_t text_len
        const int32_t *tokens
        const lcrt_logprob *logprobs
        int32_t n_logprobs
        lcrt_usage usage

    ctypedef struct lcrt_engine_stats:
        int32_t n_running
        int32_t n_waiting
        int64_t n_steps
        int64_t n_rows
        int64_t n_prefill_rows
        int64_t decode_ns
        int64_t sample_ns
        int64_t step_ns
        int64_t n_moves
        int64_t n_prompt
        int64_t n_cached
        int64_t n_taken
        int64_t n_shared
        int64_t n_joined
        int64_t n_masks
        int64_t n_mask_waits
        int64_t mask_ns
        int64_t mask_wait_ns
        int64_t n_forced
        int64_t n_drafted
        int64_t n_accepted

    lcrt_status lcrt_engine_init(const lcrt_backend *backend, const lcrt_engine_params *params, lcrt_engine **out)
    void lcrt_engine_free(lcrt_engine *engine)
    lcrt_status lcrt_engine_submit(lcrt_engine *engine, const lcrt_job *job)
    lcrt_status lcrt_engine_cancel(lcrt_engine *engine, uint64_t id)
    int32_t lcrt_engine_events(lcrt_engine *engine, lcrt_event *out, int32_t max)
    void lcrt_engine_release(lcrt_engine *engine)
    int lcrt_engine_fd(const lcrt_engine *engine)
    c_bool lcrt_engine_wait(lcrt_engine *engine, int64_t timeout_ns)
    void lcrt_engine_stats_get(const lcrt_engine *engine, lcrt_engine_stats *out)
