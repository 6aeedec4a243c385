package executor

import (
	"context"
	"fmt"
)

// submit queues t, or completes it with the reason why not. With watch, t ends when ctx does; without, parentDone has
// to be called then.
func (e *Executor) submit(ctx context.Context, t *task, class string, watch bool) {
	l, ok := e.byName[class]
	if !ok {
		t.level = &level{Class: Class{Name: class}}
		t.promise.complete(nil, t.fail("submit", 0, 0, fmt.Errorf("%w %q", ErrUnknownClass, class)))
		return
	}
	t.level, t.ctx, t.event.what = l, ctx, t
	if deadline, ok := ctx.Deadline(); ok {
		t.parentDeadline = e.at(deadline)
	}
	t.scope, _ = ctx.Value(scopeKey{}).(string)
	if watch {
		t.stop = context.AfterFunc(ctx, func() { e.parentDone(t) })
	}
	t.atTarget = e.readTargetLoad(t.targetName)
	done := ctx.Err() != nil // AfterFunc reports it too, but from another goroutine, later
	now := e.lock()
	t.orphan = t.orphan || done
	t.submitted = now
	e.active++
	l.stats.Submitted++
	l.budget.request(now)
	if t.targetName != "" {
		t.target = l.targetFor(t.targetName)
		t.target.refs++
	}
	e.admit(t, now)
	e.unlock(now, false)
}

// admit applies the checks that refuse a new command at once.
func (e *Executor) admit(t *task, now instant) {
	l := t.level
	switch {
	case e.closed:
		e.refuse(t, reasonClosed, now)
	case t.orphan:
		e.cancelled(t, "submit", nil, now)
	case l.full:
		e.refuse(t, reasonQuarantine, now)
	case l.shed.on:
		e.refuse(t, reasonShed, now)
	case t.target != nil && !t.target.open(now):
		e.refuse(t, reasonTarget, now)
	case l.waiting() >= l.MaxQueue && !e.startable(l):
		e.refuse(t, reasonQueueFull, now)
	default:
		e.enqueue(t, now)
	}
}

// startable reports whether a command of l that is queued now starts at once.
func (e *Executor) startable(l *level) bool {
	return l.queue.n == 0 && l.inflight < l.room() &&
		(l.inflight < l.Reserve || e.limit-e.inflight-e.unusedReserve > 0)
}

func (e *Executor) enqueue(t *task, now instant) {
	l := t.level
	t.state, t.enqueued = taskQueued, now
	t.deadline = now.add(l.MaxQueueWait)
	if l.Retry.MaxElapsed > 0 {
		if last := t.submitted.add(l.Retry.MaxElapsed); last < t.deadline {
			t.deadline = last
		}
	}
	l.queue.pushBack(t)
	l.watch(e, t)
}

// pick takes the next task that may start from its queue, or returns nil. What must not start any more is
// completed on the way.
func (e *Executor) pick(now instant) *task {
	for {
		l, rescued := e.choose(now)
		if l == nil {
			return nil
		}
		t := l.queue.first
		if t.deadline <= now {
			e.expire(t, now)
			continue
		}
		t.unlink()
		switch t.admission(now) {
		case admitLater:
			t.state = taskParked
			t.target.parked.pushBack(t)
			l.parked++
			continue
		case admitNever:
			e.refuse(t, reasonTarget, now)
			continue
		case admitNow:
		}
		if rescued {
			l.lastRescue = now
			l.stats.Rescues++
		}
		return t
	}
}

// choose returns the class whose head goes next: the heaviest that may start, unless a lighter one is
// starving and had no rescue for a while.
func (e *Executor) choose(now instant) (best *level, rescued bool) {
	spare := e.limit - e.inflight - e.unusedReserve
	var starved *level
	for _, l := range e.levels {
		if !l.eligible(spare) {
			continue
		}
		switch {
		case best == nil:
			best = l
		case l.starving(now) && (starved == nil || l.queue.first.enqueued < starved.queue.first.enqueued):
			starved = l
		}
	}
	if starved != nil {
		return starved, true
	}
	return best, false
}

// expire ends the wait of a task that found no slot in time.
func (e *Executor) expire(t *task, now instant) {
	e.dequeue(t)
	t.level.stats.QueueWaits++
	e.giveUp(t, "queue", ErrQueueWait, now)
}

// dequeue takes t out of whatever it waits in.
func (e *Executor) dequeue(t *task) {
	switch t.state {
	case taskParked:
		t.level.parked--
	case taskDelayed:
		e.timers.drop(&t.event)
	case taskNew, taskQueued, taskRunning, taskDone:
	}
	t.unlink()
	t.state = taskNew
}

// parentDone is called when the context that was given to Submit ends.
func (e *Executor) parentDone(t *task) {
	now := e.lock()
	switch t.state {
	case taskNew:
		t.orphan = true
	case taskQueued, taskParked, taskDelayed:
		e.dequeue(t)
		e.cancelled(t, "queue", nil, now)
	case taskRunning:
		t.current.cancel(e, causeParent, now)
	case taskDone:
	}
	e.unlock(now, false)
}

// due ends the backoff of a task.
func (t *task) due(e *Executor, now instant) {
	t.unlink()
	switch {
	case t.level.full:
		e.giveUp(t, "retry", fmt.Errorf("%w: %w", ErrQuarantine, t.lastErr), now)
	default:
		e.enqueue(t, now)
	}
}

// complete ends a task. Mutex held.
func (e *Executor) complete(t *task, value any, err error) {
	t.state = taskDone
	t.current = nil
	if t.stop != nil {
		t.next, e.ended = e.ended, t // t is in no list any more
	}
	if tg := t.target; tg != nil {
		tg.refs--
		if t.retrying {
			tg.retrying--
		}
		t.level.forget(tg)
	}
	e.active--
	e.progressed()
	t.promise.complete(value, err)
}

// fail builds the error of a task.
func (t *task) fail(phase string, now instant, scarcity float64, err error) *Error {
	out := &Error{
		Class: t.level.Name, Command: t.name, Target: t.targetName, Phase: phase,
		Attempts: t.attempts, Timeout: t.timeout, Scarcity: scarcity, Err: err,
	}
	if t.submitted != 0 {
		out.Elapsed = now.sub(t.submitted)
	}
	return out
}

// cancelled completes a task whose caller does not want it any more: no alert. result is that of its
// last attempt, nil if none was cut short by this.
func (e *Executor) cancelled(t *task, phase string, result *result, now instant) {
	t.level.stats.Cancelled++
	err := context.Cause(t.ctx)
	if err == nil {
		err = ErrClosed // the executor was drained
	}
	var value any
	if result != nil {
		value = result.value
		err = fmt.Errorf("%w: %w", err, result.err)
		if !t.idempotent && !IsNotStarted(result.err) {
			err = fmt.Errorf("%w: %w", ErrOutcomeUnknown, err)
		}
	}
	e.complete(t, value, t.fail(phase, now, e.load.Scarcity, err))
}

// giveUp completes a task with an error and one alert.
func (e *Executor) giveUp(t *task, phase string, err error, now instant) {
	failure := t.fail(phase, now, e.load.Scarcity, err)
	t.level.stats.GivenUp++
	e.alert(Alert{
		Tier: t.level.Tier, Class: t.level.Name, Command: t.name, Target: t.targetName, Scope: t.scope,
		Event: EventGivenUp, Attempts: t.attempts, Err: err.Error(),
		Message: fmt.Sprintf("gave up %s command %q after %d attempt(s)", t.level.Name, t.name, t.attempts),
	})
	var value any
	if a := t.current; a != nil && a.returned {
		value = a.result.value
	}
	e.complete(t, value, failure)
}
