package executor

import (
	"fmt"
	"time"
)

// The window of the ratio budget. A completed-window ratio cannot be pinned by retries that hang, as a
// count of retries in flight can.
const (
	budgetWindow  = time.Minute
	budgetBuckets = 6
	// budgetFloor retries per window are free, so that a quiet class can retry at all.
	budgetFloor = 3
)

// retryBudget counts requests and retries of a class over the last minute.
type retryBudget struct {
	requests, retries [budgetBuckets]int
	slot              int64 // the newest bucket, counted from instant 0
}

// advance empties the buckets that have passed out of the window.
func (b *retryBudget) advance(now instant) int {
	slot := int64(now / instant(budgetWindow/budgetBuckets))
	for n := 0; b.slot < slot && n < budgetBuckets; n++ {
		b.slot++
		b.requests[b.slot%budgetBuckets], b.retries[b.slot%budgetBuckets] = 0, 0
	}
	b.slot = max(b.slot, slot) // more than a window may have passed
	return int(b.slot % budgetBuckets)
}

func (b *retryBudget) request(now instant) { b.requests[b.advance(now)]++ }

// charge takes one retry from the budget, if there is one left.
func (b *retryBudget) charge(now instant, ratio float64) bool {
	i := b.advance(now)
	requests, retries := 0, 0
	for j := range budgetBuckets {
		requests += b.requests[j]
		retries += b.retries[j]
	}
	if float64(retries+1) > max(budgetFloor, ratio*float64(requests)) {
		return false
	}
	b.retries[i]++
	return true
}

// bucketSize and bucketGain are those of gRPC's retry throttling (proposal A6, its example values).
const (
	bucketSize = 20.0
	bucketGain = .1
)

// tokenBucket throttles retries after overload errors only. Charged with every failure, it would stop all
// retries at the failure rates that fault injection causes.
type tokenBucket struct{ tokens float64 }

func (b *tokenBucket) success()     { b.tokens = min(b.tokens+bucketGain, bucketSize) }
func (b *tokenBucket) overloaded()  { b.tokens = max(b.tokens-1, 0) }
func (b *tokenBucket) allows() bool { return b.tokens > bucketSize/2 }

// retryOrGiveUp decides about a task whose attempt failed. unknown says that it is open whether the
// attempt took effect.
func (e *Executor) retryOrGiveUp(t *task, verdict Verdict, unknown bool, err error, now instant) {
	l := t.level
	if verdict == VerdictDefault {
		verdict = VerdictRetry
		if IsNotStarted(err) {
			verdict = VerdictNotStarted
		}
		if _, asked := retryAfter(err); asked {
			verdict = VerdictOverload
		}
	}
	if verdict == VerdictOverload {
		t.grown++
		l.bucket.overloaded()
	}
	if unknown && !t.idempotent && verdict != VerdictNotStarted {
		err = fmt.Errorf("%w: %w", ErrOutcomeUnknown, err)
	}
	t.lastErr = err
	if !e.mayRetry(t, verdict, err) {
		e.giveUp(t, "run", err, now)
		return
	}
	delay := e.backoff(t, err)
	if reason := e.retryDenied(t, verdict, now, delay); reason != nil {
		l.stats.RetriesDenied++
		e.giveUp(t, "retry", fmt.Errorf("%w: %w", reason, err), now)
		return
	}
	l.stats.Retries++
	if t.target != nil && !t.retrying {
		t.retrying = true
		t.target.retrying++
	}
	t.state = taskDelayed
	l.delayed.pushBack(t)
	e.timers.set(&t.event, now.add(delay))
}

// mayRetry says whether another attempt would be right at all.
func (e *Executor) mayRetry(t *task, verdict Verdict, err error) bool {
	if verdict == VerdictFatal || verdict == VerdictAnswer || t.attempts > t.level.Retry.Max {
		return false
	}
	return t.idempotent || verdict == VerdictNotStarted || IsNotStarted(err)
}

// retryDenied says why a retry that would be right is not affordable now; nil means that it is, and
// that the budget has been charged.
func (e *Executor) retryDenied(t *task, verdict Verdict, now instant, delay time.Duration) error {
	l := t.level
	scarcity := e.load.Scarcity
	switch {
	case e.closed:
		return ErrClosed
	case l.full:
		return ErrQuarantine
	case t.target != nil && t.target.stuck:
		return ErrTargetStuck
	case l.shed.on:
		return ErrShed
	case l.waiting() >= l.MaxQueue:
		return ErrQueueFull
	case scarcity >= l.Retry.ScarcityCut:
		return fmt.Errorf("%w: scarcity %.2f", ErrRetryBudget, scarcity)
	case scarcity >= .9 && t.target != nil && t.target.retrying > 0 && !t.retrying:
		return fmt.Errorf("%w: scarcity %.2f, and target %s is being retried", ErrRetryBudget, scarcity, t.target.name)
	case l.Retry.MaxElapsed > 0 && now.add(delay) >= t.submitted.add(l.Retry.MaxElapsed):
		return fmt.Errorf("%w: maxElapsed %v", ErrRetryBudget, l.Retry.MaxElapsed)
	case t.parentDeadline != 0 && now.add(delay) >= t.parentDeadline:
		return fmt.Errorf("%w: the caller's deadline comes first", ErrRetryBudget)
	case verdict == VerdictOverload && !l.bucket.allows():
		return fmt.Errorf("%w: too many overload errors", ErrRetryBudget)
	case !l.budget.charge(now, l.Retry.Ratio):
		return fmt.Errorf("%w: ratio %.2f", ErrRetryBudget, l.Retry.Ratio)
	}
	return nil
}

// backoff draws the delay before the next attempt: full jitter (AWS Architecture Blog, "Exponential Backoff
// and Jitter"), stretched by load, on top of what the other side asked for.
func (e *Executor) backoff(t *task, err error) time.Duration {
	r := t.level.Retry
	bound := r.Backoff
	for i := 1; i < t.attempts && bound < r.MaxBackoff; i++ {
		bound *= 2
	}
	bound = time.Duration(float64(min(bound, r.MaxBackoff)) * (1 + e.load.Scarcity))
	if asked, ok := retryAfter(err); ok {
		// All who were refused together were told the same time: spread them as wide again.
		return asked + time.Duration(e.rng.Float64()*float64(max(bound, asked)))
	}
	return time.Duration(e.rng.Float64() * float64(bound))
}
