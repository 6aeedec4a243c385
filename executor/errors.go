package executor

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// The reasons for which a command ends other than by its own result. Each is found in an [*Error] with
// errors.Is; an error can match several, e.g. ErrTimeout, ErrAbandoned and ErrOutcomeUnknown.
var (
	// ErrConfig means that New was given classes or options that contradict each other.
	ErrConfig = errors.New("executor: invalid configuration")
	// ErrUnknownClass means that a command names a class that New was not given.
	ErrUnknownClass = errors.New("executor: unknown class")
	// ErrQueueFull means that the queue of the class is at its bound. Retrying at once makes it worse.
	ErrQueueFull = errors.New("executor: queue full")
	// ErrQueueWait means that no slot was free within the class's MaxQueueWait.
	ErrQueueWait = errors.New("executor: waited too long for a slot")
	// ErrShed means that the class is refused while the machine is short of resources. Retrying at
	// once makes it worse; Error.RetryAfter has a hint.
	ErrShed = errors.New("executor: shed under load")
	// ErrTimeout means that an attempt did not end within its timeout. Errors with it also match
	// context.DeadlineExceeded.
	ErrTimeout = errors.New("executor: attempt timed out")
	// ErrStalled is the ErrTimeout of an attempt that reported no progress for Timeout.Progress.
	ErrStalled = errors.New("executor: no progress")
	// ErrAbandoned means that the command had not returned one grace period after its cancellation;
	// its goroutine is in quarantine.
	ErrAbandoned = errors.New("executor: abandoned: it ignored cancellation and kill")
	// ErrQuarantine means that so many commands of the class hang that no more are started.
	ErrQuarantine = errors.New("executor: quarantine of the class is full")
	// ErrTargetStuck means that so many commands of the class to this target hang that no more are sent.
	ErrTargetStuck = errors.New("executor: target is stuck")
	// ErrRetryBudget means that a retry was due but the class's retries are used up, or cut by load.
	ErrRetryBudget = errors.New("executor: no retry left in the budget of the class")
	// ErrOutcomeUnknown means that a command that is not idempotent may or may not have taken effect.
	ErrOutcomeUnknown = errors.New("executor: outcome unknown")
	// ErrGoexit means that Run ended its goroutine with runtime.Goexit.
	ErrGoexit = errors.New("executor: command called runtime.Goexit")
	// ErrClosed means that the executor is draining, or drained.
	ErrClosed = errors.New("executor: closed")
)

// Error is the error of every command that the executor did not complete.
type Error struct {
	Class, Command, Target string
	// Phase is where it ended: "submit", "queue", "run" or "retry".
	Phase string
	// Attempts is the number of attempts that started.
	Attempts int
	// Timeout is what the last attempt was given, Elapsed the time since Submit.
	Timeout, Elapsed time.Duration
	// Scarcity is the load (0..1) when it ended.
	Scarcity float64
	// RetryAfter is a hint for the caller, 0 when there is none.
	RetryAfter time.Duration
	// Err holds the reasons: a sentinel of this package, the command's own last error, or both.
	Err error
}

// Error says what was attempted, on what, how often, and why it ended.
func (e *Error) Error() string {
	on := ""
	if e.Target != "" {
		on = " on " + e.Target
	}
	return fmt.Sprintf("%s command %q%s failed in phase %s after %d attempt(s), %v: %v",
		e.Class, e.Command, on, e.Phase, e.Attempts, e.Elapsed.Round(time.Millisecond), e.Err)
}

// Unwrap returns the reasons.
func (e *Error) Unwrap() error { return e.Err }

// Is makes a timeout match context.DeadlineExceeded.
func (e *Error) Is(target error) bool {
	return target == context.DeadlineExceeded && errors.Is(e.Err, ErrTimeout)
}

// PanicError is the error of a command whose Run or Classify panicked.
type PanicError struct {
	// Value is what was passed to panic, Stack the stack at that point.
	Value any
	Stack []byte
}

// Error prints the value and the stack.
func (p *PanicError) Error() string { return fmt.Sprintf("panic: %v\n%s", p.Value, p.Stack) }

// Unwrap returns the value if it is an error.
func (p *PanicError) Unwrap() error {
	err, _ := p.Value.(error)
	return err
}

type notStartedError struct{ error }

func (e notStartedError) Unwrap() error { return e.error }

// NotStarted marks the error of an attempt that provably had no effect, e.g. because the dial
// failed. Such an attempt may be retried even if the command is not idempotent. NotStarted(nil) is nil.
func NotStarted(err error) error {
	if err == nil {
		return nil
	}
	return notStartedError{err}
}

// IsNotStarted reports whether err was marked by NotStarted.
func IsNotStarted(err error) bool {
	var n notStartedError
	return errors.As(err, &n)
}

type retryAfterError struct {
	error
	after time.Duration
}

func (e retryAfterError) Unwrap() error             { return e.error }
func (e retryAfterError) RetryAfter() time.Duration { return e.after }

// RetryAfter marks err with the delay that a server asked for (HTTP 429 and 503, RFC 9110 section
// 10.2.3). The default classification of such an error is VerdictOverload, and no retry starts earlier.
// Any error in the chain with a method RetryAfter() time.Duration has the same effect.
func RetryAfter(err error, d time.Duration) error {
	if err == nil {
		return nil
	}
	return retryAfterError{err, d}
}

// retryAfter finds the delay that the other side asked for; ok is false when there is none.
func retryAfter(err error) (time.Duration, bool) {
	var r interface{ RetryAfter() time.Duration }
	if errors.As(err, &r) {
		return max(r.RetryAfter(), 0), true
	}
	return 0, false
}
