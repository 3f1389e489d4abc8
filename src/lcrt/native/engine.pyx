"""Many requests, one model, one thread of C."""

import atexit
import weakref
from threading import Lock

from lcrt.core.event import Usage
from lcrt.errors import ClosedError, InvalidRequest
from lcrt.native.values import CacheHits, CacheStats, ContextParams, EngineParams, EngineStats

cimport cython
from cpython.unicode cimport PyUnicode_DecodeUTF8
from libc.stdint cimport int32_t, int64_t, uint64_t
from libc.stdlib cimport calloc, free

from lcrt.native cimport c_adapter as a, c_backend as b, c_cache as k, c_engine as c, c_status as s
from lcrt.native.adapter cimport AdapterSet
from lcrt.native.backend cimport make_backend, own_adapters
from lcrt.native.draft cimport make_drafter, room_for_drafts
from lcrt.native.grammar cimport Grammar
from lcrt.native.handle cimport Handle
from lcrt.native.model cimport Model, int32_buffer
from lcrt.native.sampler cimport SamplingArgument
from lcrt.native.status cimport check

cdef enum:
    N_VIEWS = 64

cdef int64_t SECOND = 1000000000
cdef int64_t WAIT_SLICE = 50000000
cdef double YEARS = 1e9  # seconds, as good as for ever

cdef tuple _KINDS = ("", "start", "text", "finish")
cdef tuple _FINISHES = (None, "stop", "length", "cancel", "error")

_open = weakref.WeakSet()


@cython.final
cdef class Event:
    """What one job got in one step, the parts that it has not are empty.

    ``kind`` is start (the prompt has been computed), text or finish (the last one, exactly one per
    job; may carry text). ``tokens`` are the generated tokens whose text this carries. ``logprobs``
    are pairs of token and natural logarithm: for each of ``tokens`` its own, then the alternatives.
    ``usage`` comes with start and finish. ``finish`` is stop, length, cancel or error, else None.
    """

    cdef readonly uint64_t id
    cdef readonly str kind
    cdef readonly str text
    cdef readonly tuple tokens
    cdef readonly list logprobs
    cdef readonly object usage
    cdef readonly str finish
    cdef readonly str error

    def __repr__(self):
        return f"Event(id={self.id}, kind={self.kind!r}, text={self.text!r}, finish={self.finish!r})"


cdef object _usage(const c.lcrt_usage *u):
    return Usage(
        u.n_prompt, u.n_cached, u.n_generated, u.n_shifts,
        u.queued_ns / <double>SECOND, u.prefill_ns / <double>SECOND, u.decode_ns / <double>SECOND, u.n_sampled,
        u.n_host, u.n_disk, u.n_drafted, u.n_accepted,
    )


cdef Event _event(const c.lcrt_event *e):
    cdef Event out = Event.__new__(Event)
    cdef int32_t i
    out.id = e.job
    out.kind = _KINDS[<int>e.kind]
    out.text = PyUnicode_DecodeUTF8(e.text, e.text_len, b"replace") if e.text_len > 0 else ""
    if e.n_tokens == 1:
        out.tokens = (e.tokens[0],)
    else:
        out.tokens = tuple([e.tokens[i] for i in range(e.n_tokens)])
    out.logprobs = [(e.logprobs[i].token, e.logprobs[i].logprob) for i in range(e.n_logprobs)]
    out.error = ""
    if e.kind != c.LCRT_EVENT_TEXT:
        out.usage = _usage(&e.usage)
    if e.kind == c.LCRT_EVENT_FINISH:
        out.finish = _FINISHES[<int>e.finish]
        if e.finish == c.LCRT_FINISH_ERROR:
            out.error = c_text(e.status)
    return out


cdef str c_text(s.lcrt_status status):
    return (<bytes>s.lcrt_status_text(status)).decode()


cdef int check_job(s.lcrt_status status) except -1:
    """Say more of a refused job than the status does."""
    if status == s.LCRT_ERR_INVALID:
        return check(status, b"a parameter of the job, of its sampling or a token is out of range")
    if status == s.LCRT_ERR_TOO_LONG:
        return check(status, b"the prompt is too long for its context")
    return check(status, b"")


@cython.final
cdef class _Stops:
    """Stop strings as C has them, for the time of a call."""

    cdef list kept
    cdef const char **c
    cdef int32_t n

    def __cinit__(self, stops):
        self.kept = [stop.encode("utf-8", "replace") for stop in stops]
        if any(b"\0" in stop for stop in self.kept):
            raise InvalidRequest("a stop string holds a NUL character")
        self.n = <int32_t>len(self.kept)
        if self.n == 0:
            return
        self.c = <const char **>calloc(self.n, sizeof(char *))
        if self.c == NULL:
            raise MemoryError
        for i in range(self.n):
            self.c[i] = <const char *><bytes>self.kept[i]

    def __dealloc__(self):
        free(self.c)


@cython.final
cdef class Engine(Handle):
    """Runs jobs; its thread never takes the GIL. ``context`` and ``params`` have defaults.

    Events wait in a ring until ``events`` takes them; ``fileno`` is readable when some wait. ``draft`` is a
    smaller model of the same vocabulary that guesses what comes.
    """

    cdef c.lcrt_engine *_engine
    cdef c.lcrt_event _views[N_VIEWS]
    cdef bint _reading
    cdef tuple _suppressed
    cdef b.lcrt_backend _backend
    cdef uint64_t _own_set
    cdef object _sets_lock
    cdef dict _sets
    cdef dict _jobs
    cdef object __weakref__
    cdef readonly object info

    def __cinit__(self, Model model not None, context=None, params=None, Model draft=None):
        cdef c.lcrt_engine_params p
        cdef b.lcrt_backend drafter
        cdef AdapterSet own
        cdef s.lcrt_status status
        cdef list texts = []
        context, params = context or ContextParams(), params or EngineParams()
        context, params = room_for_drafts(context, params, model.info, draft is not None)
        p = _params(params, context, texts)
        self._suppressed = model.vocab.suppressed
        self._sets_lock, self._sets, self._jobs = Lock(), {}, {}
        own = own_adapters(model, context)
        self._own_set = own.key()
        self.info = make_backend(model, context, own, &self._backend)
        drafter.vtable = NULL
        try:
            if draft is not None:
                self.info = make_drafter(model, draft, context, self.info, &drafter)
                p.drafter = &drafter
            with nogil:
                status = c.lcrt_engine_init(&self._backend, &p, &self._engine)
        finally:
            if self._engine == NULL:
                self._backend.vtable.free(self._backend.self)
                if drafter.vtable != NULL:
                    drafter.vtable.free(drafter.self)
        check(status, b"an engine parameter is out of range" if status == s.LCRT_ERR_INVALID else b"")
        _open.add(self)

    def __dealloc__(self):
        self.release()

    cdef void release(self) noexcept:
        cdef c.lcrt_engine *engine = self._engine
        self._engine = NULL
        with nogil:
            c.lcrt_engine_free(engine)

    def submit(self, uint64_t number, tokens, sampling, *, int32_t max_tokens=-1, int32_t n_ctx=0, int32_t n_keep=0,
               bint shift=True, bint cache=True, bint ignore_eog=False, bint special=False, int32_t n_logprobs=-1,
               stops=(), Grammar grammar=None, adapters=None):
        """Queue a job: a prompt of at least one token, and a ``Sampling``.

        ``number`` names it in its events and must not be in use. ``max_tokens`` limits what is generated,
        ``n_ctx`` the positions held (0: all of a sequence); when they are full, ``shift`` drops old ones
        behind the first ``n_keep`` tokens of the prompt (negative: all of it), or it ends with length.
        ``n_logprobs``: -1 none, 0 the token's own, n also the n likeliest, at most 20. ``grammar`` belongs
        to the engine from then on, unless this raises. ``adapters`` are pairs of ``Adapter`` and scale in place of
        the context's own. Raises ``BusyError`` when the queue is full and ``InvalidRequest`` for a job that makes no
        sense.
        """
        cdef object numbers = int32_buffer(tokens)
        cdef const int32_t[::1] view = numbers
        cdef SamplingArgument argument = SamplingArgument(sampling, self._suppressed)
        cdef _Stops stop_strings = _Stops(stops)
        cdef c.lcrt_job job
        if view.shape[0] == 0:
            raise InvalidRequest("the prompt has no tokens")
        job.id = number
        job.tokens = &view[0]
        job.n_tokens = <int32_t>view.shape[0]
        job.max_tokens = max_tokens
        job.n_ctx = n_ctx
        job.n_keep = n_keep
        job.shift = shift
        job.cache = cache
        job.ignore_eog = ignore_eog
        job.special = special
        job.n_logprobs = n_logprobs
        job.sampling = argument.c
        job.stops = stop_strings.c
        job.n_stops = stop_strings.n
        job.grammar.vtable = NULL
        self.enter()
        try:
            job.set = self._enter_set(number, adapters)  # other threads may run meanwhile, which close the grammar
            if grammar is not None:
                grammar.alive()
                job.grammar = grammar._grammar
            check_job(c.lcrt_engine_submit(self._engine, &job))
            if grammar is not None:
                grammar.taken()
        except BaseException:
            self._leave_set(number)
            raise
        finally:
            self.leave()

    cdef uint64_t _enter_set(self, uint64_t number, object adapters) except? 0:
        """The set of a job, which the backend knows until the job has ended."""
        cdef AdapterSet wanted
        cdef uint64_t key
        if adapters is None:
            return 0
        wanted = AdapterSet(adapters)
        key = wanted.key()
        if key == self._own_set:
            return 0
        with self._sets_lock:
            if key not in self._sets:
                check(a.lcrt_backend_llama_put_set(&self._backend, key, wanted.adapters, wanted.scales, wanted.n),
                      b"an adapter of another model")
            self._sets[key] = self._sets.get(key, 0) + 1
            self._jobs[number] = key
        return key

    cdef int _leave_set(self, uint64_t number) except -1:
        """A job has ended; the last one of its set takes that along."""
        cdef uint64_t key
        with self._sets_lock:
            key = self._jobs.pop(number, 0)
            if key == 0:
                return 0
            self._sets[key] -= 1
            if self._sets[key] == 0:
                del self._sets[key]
                with nogil:
                    a.lcrt_backend_llama_drop_set(&self._backend, key)
        return 0

    def cancel(self, uint64_t number):
        """End a job within one step; it still gets its finish event. Unknown numbers are ignored."""
        self.alive()
        check(c.lcrt_engine_cancel(self._engine, number), b"")

    def events(self):
        """All events that wait, oldest first. Never waits itself. Empty while another call takes them."""
        cdef int32_t n = N_VIEWS
        cdef int32_t i
        cdef list out = []
        self.enter()
        if self._reading:  # a thread that came in while the garbage of another was collected
            self.leave()
            return out
        self._reading = True
        try:
            while n == N_VIEWS:
                n = c.lcrt_engine_events(self._engine, self._views, N_VIEWS)
                for i in range(n):
                    out.append(_event(&self._views[i]))
                    if self._jobs and self._views[i].kind == c.LCRT_EVENT_FINISH:
                        self._leave_set(self._views[i].job)
        finally:
            c.lcrt_engine_release(self._engine)
            self._reading = False
            self.leave()
        return out

    def fileno(self):
        """A descriptor that is readable when events wait; the engine's own, not to be closed."""
        self.alive()
        return c.lcrt_engine_fd(self._engine)

    def wait(self, timeout=None):
        """Wait up to ``timeout`` seconds for events, for ever by default; True when there are some.

        Raises ``ClosedError`` when the engine is closed meanwhile.
        """
        cdef int64_t left = -1, slice = 0
        cdef bint found = False
        if timeout is not None:
            left = <int64_t>(min(max(0.0, timeout), YEARS) * SECOND)
        self.enter()
        try:
            while True:
                slice = WAIT_SLICE if timeout is None else min(left, WAIT_SLICE)
                with nogil:
                    found = c.lcrt_engine_wait(self._engine, slice)
                if self._closed:
                    raise ClosedError("this Engine has been closed")
                left -= slice
                if found or (timeout is not None and left <= 0):
                    return found
        finally:
            self.leave()

    def stats(self):
        """Counters since the start."""
        cdef c.lcrt_engine_stats t
        cdef double ns = 1e-9
        self.alive()
        c.lcrt_engine_stats_get(self._engine, &t)
        return EngineStats(
            t.n_running, t.n_waiting, t.n_steps, t.n_rows, t.n_prefill_rows,
            t.decode_ns * ns, t.sample_ns * ns, t.step_ns * ns, t.n_moves,
            t.n_masks, t.n_mask_waits, t.mask_ns * ns, t.mask_wait_ns * ns, t.n_forced,
            t.n_prompt, t.n_cached, t.n_taken, t.n_shared, t.n_joined,
            t.n_drafted, t.n_accepted,
        )

    def cache_stats(self):
        """Where prompts were found since the start, and what is stored now."""
        cdef k.lcrt_cache_stats t
        self.alive()
        k.lcrt_engine_cache_stats_get(self._engine, &t)
        return CacheStats(
            _hits(&t.device), _hits(&t.host), _hits(&t.disk), t.n_checkpoints, t.ram_len, t.disk_len,
            c_text(t.disk_status) if t.disk_status != s.LCRT_OK else "",
        )

    def store(self, double timeout):
        """Close, after writing what the sequences hold to disk, the most valuable first.

        It takes about ``timeout`` seconds at most. Returns how many were written, and how many had no time.
        """
        cdef int64_t left = <int64_t>(min(max(0.0, timeout), YEARS) * SECOND)
        cdef int32_t n_written = 0, n_left = 0
        self.enter()
        self._closed = True
        try:
            with nogil:
                n_written = k.lcrt_engine_store(self._engine, left, &n_left)
        finally:
            self.leave()
        return n_written, n_left


cdef object _hits(const k.lcrt_cache_hits *hits):
    return CacheHits(hits.n_jobs, hits.n_tokens)


cdef c.lcrt_engine_params _params(object params, object context, list kept) except *:
    """``kept`` must live as long as the result: its texts are there."""
    cdef c.lcrt_engine_params p = c.lcrt_engine_params_default()
    cache = params.cache
    kept += [text.encode() for text in (cache.directory, cache.version, cache.model, cache.setup)]
    p.cache.dir = <const char *><bytes>kept[0]
    p.cache.version = <const char *><bytes>kept[1]
    p.cache.model = <const char *><bytes>kept[2]
    p.cache.setup = <const char *><bytes>kept[3]
    try:
        p.cache.ram_len = cache.ram
        p.cache.disk_len = cache.disk
        p.n_slots = params.n_slots or context.n_parallel
        p.n_chunk_min = params.n_chunk_min or p.n_chunk_min
        p.n_chunk = params.n_chunk
        p.n_draft = params.n_draft
        p.latency_target_ns = <int64_t>(params.latency_target * SECOND) or p.latency_target_ns
        p.wake_interval_ns = <int64_t>(params.wake_interval * SECOND)
        p.n_sampler_threads = params.n_sampler_threads
        p.max_queue = params.max_queue or p.max_queue
        p.events_len = params.events_len or p.events_len
    except (OverflowError, ValueError) as error:
        raise InvalidRequest(f"an engine parameter is out of range: {error}") from None
    return p


@atexit.register
def _close_all():
    """Stop the threads while everything that they use is still there."""
    for engine in list(_open):
        engine.close()
