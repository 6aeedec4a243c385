package executor

import (
	"context"
	"fmt"
	"sync"
	"time"
)

// outbox is a bounded queue in front of foreign code. push never waits. Its goroutine lives only while
// there is something to deliver, so an idle outbox needs no Close.
type outbox[T any] struct {
	limit   int
	deliver func(T)
	full    func(items []T, item T) (out []T, dropped int)

	mu        sync.Mutex
	items     []T
	running   bool
	idle      chan struct{} // closed when nothing is queued or being delivered
	dropped   uint64
	delivered uint64
	panics    uint64
}

func newOutbox[T any](limit int, deliver func(T), full func([]T, T) ([]T, int)) *outbox[T] {
	return &outbox[T]{limit: limit, deliver: deliver, full: full}
}

func (o *outbox[T]) push(item T) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if len(o.items) >= o.limit {
		var dropped int
		o.items, dropped = o.full(o.items, item)
		o.dropped += uint64(dropped)
	} else {
		o.items = append(o.items, item)
	}
	if !o.running {
		o.running = true
		o.idle = make(chan struct{})
		go o.drain()
	}
}

func (o *outbox[T]) drain() {
	finished := false
	defer func() {
		if !finished { // deliver called runtime.Goexit: what is left needs another goroutine
			go o.drain()
		}
	}()
	for {
		o.mu.Lock()
		if len(o.items) == 0 {
			o.items = nil
			o.running = false
			finished = true
			close(o.idle)
			o.mu.Unlock()
			return
		}
		item := o.items[0]
		o.items = o.items[1:]
		o.mu.Unlock()
		o.one(item)
	}
}

// one delivers one item; a panic is counted, and costs that item only.
func (o *outbox[T]) one(item T) {
	defer func() {
		p := recover()
		o.mu.Lock()
		defer o.mu.Unlock()
		if p != nil {
			o.panics++
			return
		}
		o.delivered++
	}()
	o.deliver(item)
}

// flush waits until everything pushed so far is delivered.
func (o *outbox[T]) flush(ctx context.Context) error {
	o.mu.Lock()
	idle, running, left := o.idle, o.running, len(o.items)
	o.mu.Unlock()
	if !running {
		return nil
	}
	select {
	case <-idle:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("%d undelivered: %w", left+1, context.Cause(ctx))
	}
}

func (o *outbox[T]) counts() (delivered, dropped, panics uint64) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.delivered, o.dropped, o.panics
}

// What happened to an attempt.
const (
	OutcomeOK        = "ok"
	OutcomeAnswer    = "answer"    // an error that VerdictAnswer takes for the command's answer
	OutcomeError     = "error"     // Run returned an error by itself
	OutcomePanic     = "panic"     // Run or Classify panicked, or left with runtime.Goexit
	OutcomeTimeout   = "timeout"   // cancelled at its deadline, returned within the grace period
	OutcomeStalled   = "stalled"   // cancelled for lack of progress
	OutcomeAbandoned = "abandoned" // cancelled at its deadline, did not return
	OutcomeCancelled = "cancelled" // the caller's context ended, or the executor was drained
)

// AttemptRecord tells one attempt, with the timeout it got and why.
type AttemptRecord struct {
	Command string        `json:"command"`
	Class   string        `json:"class"`
	Target  string        `json:"target,omitempty"`
	Scope   string        `json:"scope,omitempty"` // see WithScope
	N       int           `json:"n"`
	Started time.Time     `json:"started"`
	Queued  time.Duration `json:"queued"` // ns; how long it waited for its slot
	Timeout time.Duration `json:"timeout"`
	Why     string        `json:"why"` // how the timeout came about
	Elapsed time.Duration `json:"elapsed"`
	Outcome string        `json:"outcome"`
	Err     string        `json:"error,omitempty"`
	// Scarcity is the load (0..1) at the start.
	Scarcity float64 `json:"scarcity"`

	reason timeoutReason
	err    error
}

// recordQueueLen bounds the records that wait for one observer.
const recordQueueLen = 4096

// newRecordQueue formats what is costly to format in the observer's goroutine.
func newRecordQueue(f func(AttemptRecord)) *outbox[AttemptRecord] {
	deliver := func(r AttemptRecord) {
		r.Why = r.reason.String()
		if r.err != nil {
			r.Err = r.err.Error()
		}
		f(r)
	}
	return newOutbox(recordQueueLen, deliver, func(items []AttemptRecord, r AttemptRecord) ([]AttemptRecord, int) {
		return append(items[1:], r), 1
	})
}

// record hands the end of an attempt to the observers. Mutex held.
func (e *Executor) record(a *attempt, outcome string, err error, now instant) {
	if len(e.records) == 0 {
		return
	}
	t := a.t
	r := AttemptRecord{
		Command: t.name, Class: t.level.Name, Target: t.targetName, Scope: t.scope, N: a.n, Started: e.clock(a.started),
		Queued: a.waited, Timeout: a.reason.timeout, Elapsed: now.sub(a.started), Outcome: outcome,
		Scarcity: float64(a.reason.scarcity), reason: a.reason, err: err,
	}
	for _, o := range e.records {
		o.push(r)
	}
}
