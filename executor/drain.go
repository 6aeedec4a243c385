package executor

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// drainQuarantine is how long Drain waits for abandoned commands when its context has no deadline.
const drainQuarantine = 5 * time.Second

// drainSettle is what commands that honour their context get to return, so that only others are called stuck.
const drainSettle = 100 * time.Millisecond

// Stuck is a command that Drain could not wait for.
type Stuck struct {
	Class, Command, Target string
	Attempt                int
	// Since is when the attempt started; State is "running", "cancelling" or "abandoned".
	Since time.Time
	State string
}

// String is like `fault "stop m1" on m1 (attempt 2, abandoned, 12s)`, with the age at the time of the call.
func (s Stuck) String() string {
	on := ""
	if s.Target != "" {
		on = " on " + s.Target
	}
	return fmt.Sprintf("%s %q%s (attempt %d, %s, %v)", s.Class, s.Command, on, s.Attempt, s.State,
		time.Since(s.Since).Round(time.Millisecond))
}

// DrainError names what Drain left behind.
type DrainError struct {
	// Stuck are the attempts whose goroutines are still there.
	Stuck []Stuck
	// Sinks holds one error per sink or observer that did not take everything in time.
	Sinks []error
	// Err is why Drain did not wait longer.
	Err error
}

// Error lists everything.
func (e *DrainError) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "executor: drain: %v: %d command(s) still stuck", e.Err, len(e.Stuck))
	for _, s := range e.Stuck {
		b.WriteString("; " + s.String())
	}
	for _, err := range e.Sinks {
		fmt.Fprintf(&b, "; sink: %v", err)
	}
	return b.String()
}

// Unwrap returns why Drain did not wait longer.
func (e *DrainError) Unwrap() error { return e.Err }

// Drain ends the executor: new commands and retries are refused with ErrClosed, what is queued or running may
// finish until ctx is done, and is then cancelled. Abandoned commands are waited for as well, 5 s
// if ctx has no deadline. It returns nil when no goroutine is left and all alerts are delivered, and a
// *DrainError that names what is stuck otherwise; it returns within 100 ms after ctx is done, whatever hangs.
// Calling it again waits again.
func (e *Executor) Drain(ctx context.Context) error {
	now := e.lock()
	e.closed = true
	for _, l := range e.levels {
		for l.delayed.first != nil {
			t := l.delayed.first
			e.dequeue(t)
			e.giveUp(t, "retry", joinLast(ErrClosed, t.lastErr), now)
		}
	}
	e.unlock(now, false)

	err := e.await(ctx, func() bool { return e.active == 0 })
	if err != nil {
		e.cancelAll()
		settle, cancel := context.WithTimeout(context.WithoutCancel(ctx), drainSettle)
		_ = e.await(settle, func() bool { return e.active == 0 }) // ctx's own end is what is reported
		cancel()
	} else {
		qctx, cancel := ctx, context.CancelFunc(func() {})
		if _, ok := ctx.Deadline(); !ok {
			qctx, cancel = context.WithTimeout(ctx, drainQuarantine)
		}
		err = e.await(qctx, func() bool { return e.quarantined() == 0 })
		cancel()
	}
	sinks := e.flush(ctx)
	sinkErr := errors.Join(sinks...)
	e.mu.Lock()
	stuck := e.stuck()
	if len(stuck) == 0 && e.active == 0 {
		e.timer.Stop()
		e.armed = 0
	}
	e.mu.Unlock()
	if err == nil && sinkErr == nil {
		return nil
	}
	out := &DrainError{Stuck: stuck, Err: err}
	if err == nil {
		out.Err = sinkErr
	}
	for _, err := range sinks {
		if err != nil {
			out.Sinks = append(out.Sinks, err)
		}
	}
	return out
}

// Flush waits until sinks and observers have taken everything that happened before, or ctx is done.
func (e *Executor) Flush(ctx context.Context) error {
	if err := errors.Join(e.flush(ctx)...); err != nil {
		return fmt.Errorf("executor: flush: %w", err)
	}
	return nil
}

func (e *Executor) flush(ctx context.Context) (errs []error) {
	for _, s := range e.sinks {
		errs = append(errs, s.flush(ctx))
	}
	for _, r := range e.records {
		errs = append(errs, r.flush(ctx))
	}
	return errs
}

// cancelAll fails what waits and cancels what runs.
func (e *Executor) cancelAll() {
	now := e.lock()
	for _, l := range e.levels {
		lists := []*taskList{&l.queue, &l.delayed}
		for _, tg := range l.targets {
			lists = append(lists, &tg.parked)
		}
		for _, q := range lists {
			for q.first != nil {
				t := q.first
				e.dequeue(t)
				e.refuse(t, reasonClosed, now)
			}
		}
	}
	for a := e.live; a != nil; a = a.next {
		a.cancel(e, causeClosed, now)
	}
	e.unlock(now, false)
}

// await waits for a condition that is evaluated with the mutex held, after every step of progress.
func (e *Executor) await(ctx context.Context, done func() bool) error {
	for {
		e.mu.Lock()
		ok, changed := done(), e.changed
		e.mu.Unlock()
		if ok {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// progressed wakes Drain. Mutex held.
func (e *Executor) progressed() {
	if e.closed {
		close(e.changed)
		e.changed = make(chan struct{})
	}
}

func (e *Executor) quarantined() int {
	n := 0
	for _, l := range e.levels {
		n += l.quarantined
	}
	return n
}

// stuck lists the attempts whose goroutines are there. Mutex held.
func (e *Executor) stuck() []Stuck {
	var out []Stuck
	for a := e.live; a != nil; a = a.next {
		s := Stuck{Class: a.t.level.Name, Command: a.t.name, Target: a.t.targetName, Attempt: a.n, Since: e.clock(a.started)}
		switch a.state {
		case attemptRunning:
			s.State = "running"
		case attemptCancelling:
			s.State = "cancelling"
		case attemptAbandoned:
			s.State = "abandoned"
		case attemptDone:
			continue
		}
		out = append(out, s)
	}
	slices.SortFunc(out, func(a, b Stuck) int { return a.Since.Compare(b.Since) })
	return out
}

// joinLast is reason, with the error of the last attempt if there was one.
func joinLast(reason, last error) error {
	if last == nil {
		return reason
	}
	return fmt.Errorf("%w: %w", reason, last)
}
