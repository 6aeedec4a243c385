package executor

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"sync/atomic"
	"time"
)

// attemptState follows running -> done, or running -> cancelling -> done, or
// running -> cancelling -> abandoned -> done. Every step is taken with the mutex held, so
// completion and abandonment cannot both win.
type attemptState uint8

const (
	attemptRunning attemptState = iota
	attemptCancelling
	attemptAbandoned
	attemptDone
)

// cause is why an attempt was cancelled.
type cause uint8

const (
	causeNone cause = iota
	causeTimeout
	causeStall
	causeParent
	causeClosed
)

// result is what an attempt brought.
type result struct {
	value   any
	err     error
	verdict Verdict
}

// attempt is one run of a task. It outlives the task when it is abandoned.
type attempt struct {
	event    // the deadline, then the end of the grace period
	t        *task
	n        int
	ctx      attemptCtx
	started  instant
	waited   time.Duration // for the slot
	reason   timeoutReason
	progress atomic.Int64 // ns after started

	state    attemptState
	why      cause
	kills    []func() error
	killing  int // kill hooks that have not returned
	returned bool
	result   result

	prev, next *attempt // in Executor.live
}

// track and untrack keep the list of attempts whose goroutines are there, for Drain.
func (e *Executor) track(a *attempt) {
	if a.next = e.live; a.next != nil {
		a.next.prev = a
	}
	e.live = a
}

func (e *Executor) untrack(a *attempt) {
	if a.prev != nil {
		a.prev.next = a.next
	} else {
		e.live = a.next
	}
	if a.next != nil {
		a.next.prev = a.prev
	}
}

// start gives t a slot. Mutex held.
func (e *Executor) start(t *task, now instant) *attempt {
	l := t.level
	load := e.load
	if t.atTarget.Scarcity > load.Scarcity {
		load = Load{Scarcity: t.atTarget.Scarcity, Resource: "target " + t.atTarget.Resource}
	}
	t.attempts++
	a := &attempt{t: t, n: t.attempts, started: now, waited: now.sub(t.enqueued), ctx: attemptCtx{parent: t.ctx, exec: e}}
	a.event.what = a
	a.reason = e.timeoutFor(t, load, now)
	a.reason.timeout = max(a.reason.timeout, 0)
	a.ctx.deadline = now.add(a.reason.timeout)
	t.state, t.current, t.timeout = taskRunning, a, a.reason.timeout
	e.enter(l)
	e.track(a)
	l.stats.Attempts++
	if t.target != nil {
		t.target.inflight++
	}
	e.timers.set(&a.event, a.nextCheck())
	return a
}

// nextCheck is the deadline, or the time at which the attempt has to have made progress.
func (a *attempt) nextCheck() instant {
	if p := a.t.level.Timeout.Progress; p > 0 {
		if stall := a.started.add(time.Duration(a.progress.Load()) + p); stall < a.ctx.deadline {
			return stall
		}
	}
	return a.ctx.deadline
}

// due cancels an attempt that is late, or abandons one that did not react.
func (a *attempt) due(e *Executor, now instant) {
	switch a.state {
	case attemptRunning:
		next := a.nextCheck()
		switch {
		case next > now: // progress since the event was armed
			e.timers.set(&a.event, next)
		case next == a.ctx.deadline:
			a.cancel(e, causeTimeout, now)
		default:
			a.cancel(e, causeStall, now)
		}
	case attemptCancelling:
		e.abandon(a, now)
	case attemptAbandoned, attemptDone:
	}
}

// cancel asks an attempt to end: its context is cancelled and its kill hooks are called. Mutex held.
func (a *attempt) cancel(e *Executor, why cause, now instant) {
	if a.state != attemptRunning {
		return
	}
	a.state, a.why = attemptCancelling, why
	err := context.Canceled
	if why == causeTimeout || why == causeStall {
		err = context.DeadlineExceeded
	}
	a.ctx.cancel(err)
	e.timers.set(&a.event, now.add(a.t.level.grace(a.reason.timeout)))
	if f := a.t.body.kill(); f != nil {
		a.kills = append(a.kills, f)
	}
	for _, f := range a.kills {
		a.killing++
		go e.kill(a, f)
	}
	a.kills = nil
}

// onKill registers a kill hook from inside Run.
func (e *Executor) onKill(a *attempt, f func() error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	switch {
	case a.returned:
	case a.state == attemptRunning:
		a.kills = append(a.kills, f)
	default:
		a.killing++
		go e.kill(a, f)
	}
}

// kill runs one kill hook. The attempt holds its slot, or its place in quarantine, until it returns.
func (e *Executor) kill(a *attempt, f func() error) {
	defer func() {
		if p := recover(); p != nil {
			e.mu.Lock()
			a.t.level.stats.Panics++
			e.mu.Unlock()
		}
		now := e.lock()
		a.killing--
		e.letGo(a, now)
		e.unlock(now, false)
	}()
	_ = f() // whether it worked shows in whether Run returns
}

// work runs a, and then whatever the slot can be used for next.
func (e *Executor) work(a *attempt) {
	defer func() {
		if a != nil { // Run called runtime.Goexit: the goroutine is lost, the slot must not be
			if next := e.returned(a, result{err: ErrGoexit, verdict: VerdictFatal}); next != nil {
				go e.work(next)
			}
		}
	}()
	for a != nil {
		r := a.call()
		a = e.returned(a, r)
	}
}

// call runs the user's code.
func (a *attempt) call() (r result) {
	defer func() {
		if p := recover(); p != nil {
			r = result{err: &PanicError{Value: p, Stack: debug.Stack()}, verdict: VerdictFatal}
		}
	}()
	t := a.t
	r.value, r.err = t.body.run(&a.ctx, Attempt{
		Command: t.name, Class: t.level.Name, Target: t.targetName, N: a.n,
		Timeout: a.reason.timeout, Scarcity: float64(a.reason.scarcity), a: a,
		Connect: time.Duration(float64(t.level.Timeout.Connect) * (1 + float64(a.reason.scarcity))),
	})
	if r.err != nil {
		r.verdict = t.body.classify(r.err)
	}
	return r
}

// returned takes what a brought, and returns the attempt that goes on in this goroutine.
func (e *Executor) returned(a *attempt, r result) *attempt {
	atTarget := e.readTargetLoad(a.t.targetName)
	now := e.lock()
	a.result, a.returned = r, true
	if a.t.current == a {
		a.t.atTarget = atTarget
	}
	if r.err != nil && r.verdict != VerdictAnswer && a.why == causeNone && now >= a.ctx.deadline {
		a.why = causeTimeout // it saw its deadline before the executor's timer did
	}
	e.letGo(a, now)
	next := e.unlock(now, true)
	a.ctx.cancel(context.Canceled) // releases contexts derived from it
	return next
}

// letGo ends an attempt when neither Run nor a kill hook is running any more.
func (e *Executor) letGo(a *attempt, now instant) {
	if !a.returned || a.killing > 0 {
		return
	}
	l, tg := a.t.level, a.t.target
	abandoned := a.state == attemptAbandoned
	a.state = attemptDone
	e.untrack(a)
	if !abandoned {
		e.timers.drop(&a.event)
		e.leave(l)
		if tg != nil {
			tg.inflight--
		}
		e.conclude(a, now)
		return
	}
	l.stats.Late++
	l.quarantined--
	if tg != nil {
		e.targetReleased(l, tg, now)
	}
	e.quarantineReleased(l)
	e.progressed()
}

// abandon takes the slot from an attempt that ignored cancellation and kill for a grace period.
func (e *Executor) abandon(a *attempt, now instant) {
	a.state = attemptAbandoned
	l, tg := a.t.level, a.t.target
	e.leave(l)
	l.quarantined++
	l.stats.Abandoned++
	l.stats.QuarantinePeak = max(l.stats.QuarantinePeak, l.quarantined)
	if tg != nil {
		tg.inflight--
		tg.quarantined++
	}
	e.conclude(a, now)
	e.quarantineFilled(l, now)
}

// conclude decides what the end of an attempt means for its task. The slot is free already.
func (e *Executor) conclude(a *attempt, now instant) {
	t, l := a.t, a.t.level
	outcome, err := a.outcome()
	t.lastErr = err
	e.record(a, outcome, err, now)
	if t.target != nil {
		e.targetConcluded(l, t, outcome, now)
	}
	verdict := a.result.verdict
	if outcome == OutcomePanic {
		l.stats.Panics++
	}
	switch outcome {
	case OutcomeOK:
		l.stats.Succeeded++
		l.bucket.success()
		if a.n == 1 {
			l.rtt.add(now.sub(a.started))
		}
		e.complete(t, a.result.value, nil)
	case OutcomeAnswer:
		l.stats.Answered++
		e.complete(t, a.result.value, a.result.err)
	case OutcomeCancelled:
		r := result{err: err}
		if a.returned {
			r = a.result
		}
		e.cancelled(t, "run", &r, now)
	case OutcomeTimeout, OutcomeStalled, OutcomeAbandoned:
		l.stats.Timeouts++
		t.grown++
		verdict = VerdictRetry
		if a.returned && IsNotStarted(a.result.err) {
			verdict = VerdictNotStarted
		}
		e.retryOrGiveUp(t, verdict, true, err, now)
	default:
		e.retryOrGiveUp(t, verdict, false, err, now)
	}
	t.current = nil
}

// outcome names what happened to an attempt, and its error.
func (a *attempt) outcome() (string, error) {
	r := a.result
	if a.returned {
		_, panicked := errors.AsType[*PanicError](r.err)
		switch {
		case r.err == nil: // also when it came in the grace period: a result is a result
			return OutcomeOK, nil
		case panicked, errors.Is(r.err, ErrGoexit):
			return OutcomePanic, r.err
		case a.why == causeNone && r.verdict == VerdictAnswer:
			return OutcomeAnswer, r.err
		case a.why == causeNone:
			return OutcomeError, r.err
		}
	}
	if !a.returned {
		r.err = ErrAbandoned
	}
	name := OutcomeTimeout
	var err error
	switch a.why {
	case causeParent, causeClosed:
		if !a.returned {
			return OutcomeCancelled, ErrAbandoned
		}
		return OutcomeCancelled, r.err
	case causeStall:
		name = OutcomeStalled
		err = fmt.Errorf("%w: %w for %v: %w", ErrTimeout, ErrStalled, a.t.level.Timeout.Progress, r.err)
	case causeTimeout, causeNone:
		err = fmt.Errorf("%w after %v: %w", ErrTimeout, a.reason.timeout.Round(time.Millisecond), r.err)
	}
	if !a.returned {
		name = OutcomeAbandoned
	}
	return name, err
}
