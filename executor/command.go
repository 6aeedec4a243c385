package executor

import (
	"context"
	"fmt"
	"sync"
	"time"
)

// Verdict is what an error of a command means for a retry. The zero value leaves it to the default:
// Overload when the error has a RetryAfter, otherwise Retry.
type Verdict int

// The verdicts.
const (
	// VerdictDefault leaves the classification to the executor.
	VerdictDefault Verdict = iota
	// VerdictRetry is a passing failure: try again if the command is idempotent.
	VerdictRetry
	// VerdictOverload is a refusal by an overloaded peer: as Retry, but the next attempt gets a longer
	// timeout, and the class's token bucket is charged (gRPC retry throttling, proposal A6).
	VerdictOverload
	// VerdictNotStarted is a failure that provably had no effect: retried even if not idempotent.
	VerdictNotStarted
	// VerdictFatal will not get better: the command is given up and reported at once.
	VerdictFatal
	// VerdictAnswer is not a failure of the command but its answer, e.g. "connection refused" to a probe:
	// returned as it is, neither retried nor alerted.
	VerdictAnswer
)

// Attempt is what Run is told about the attempt it makes.
type Attempt struct {
	// Command, Class and Target are those of the command.
	Command, Class, Target string
	// N counts attempts from 1.
	N int
	// Timeout is the total time of this attempt; the context has the deadline. Connect is what of it
	// a transport should allow for a dial or an upgrade.
	Timeout, Connect time.Duration
	// Scarcity is the load (0..1) at the start.
	Scarcity float64

	a *attempt
}

// Progress says that the attempt is alive: bytes came, a step ended. Only classes with Timeout.Progress
// watch it. Heartbeats of a transport are not progress. It is cheap and safe for concurrent use.
func (a Attempt) Progress() {
	if a.a != nil {
		a.a.progress.Store(int64(a.a.ctx.exec.now().sub(a.a.started)))
	}
}

// Why says how the timeout of this attempt came about.
func (a Attempt) Why() string {
	if a.a == nil {
		return ""
	}
	return a.a.reason.String()
}

// OnKill adds f to what is called, once and in a goroutine of its own, when this attempt is cancelled and may
// not notice: close the socket, kill the process group. f must make Run return. If the attempt
// is cancelled already, f is called at once.
func (a Attempt) OnKill(f func() error) {
	if a.a != nil {
		a.a.ctx.exec.onKill(a.a, f)
	}
}

// Command is a piece of work of type R. Only Class and Run are required.
type Command[R any] struct {
	// Name says what the command does; it appears in errors, records and alerts.
	Name string
	// Class is the name of one of the executor's classes.
	Class string
	// Target is what the command talks to (a pod, a machine, an instance): the key of the bound that
	// keeps one dead target from eating the class. "" means none.
	Target string
	// Idempotent says that running it twice does no harm. Other commands are only retried
	// when an attempt provably did not start.
	Idempotent bool
	// Run does the work. It should return soon after ctx is done; if it does not, it is killed, and
	// abandoned after that. What an abandoned Run returns is dropped.
	Run func(ctx context.Context, a Attempt) (R, error)
	// Kill makes a hanging Run return. It is called at most once per attempt, in a goroutine of its
	// own. Where attempts have separate resources, use Attempt.OnKill.
	Kill func() error
	// Classify says what an error of Run means. Timeouts are not passed to it.
	Classify func(error) Verdict
}

// body is the untyped side of a Future: what the core needs to know of a Command.
type body interface {
	run(ctx context.Context, a Attempt) (any, error)
	kill() func() error
	classify(err error) Verdict
}

// Future is the pending result of a command. It is safe for concurrent use.
type Future[R any] struct {
	task
	runFunc      func(ctx context.Context, a Attempt) (R, error)
	killFunc     func() error
	classifyFunc func(error) Verdict
}

func (f *Future[R]) run(ctx context.Context, a Attempt) (any, error) { return f.runFunc(ctx, a) }
func (f *Future[R]) kill() func() error                              { return f.killFunc }

func (f *Future[R]) classify(err error) Verdict {
	if f.classifyFunc == nil {
		return VerdictDefault
	}
	return f.classifyFunc(err)
}

// Done is closed when the command is complete.
func (f *Future[R]) Done() <-chan struct{} { return f.promise.done() }

// Wait returns the command's result, or ctx's error if that comes first; the command goes on in that
// case: cancel the context given to Submit to end it. The error of a command that did not complete
// is an *Error; an error with VerdictAnswer is returned as Run returned it.
func (f *Future[R]) Wait(ctx context.Context) (R, error) {
	if !f.promise.isDone() {
		select {
		case <-f.Done():
		case <-ctx.Done():
			if !f.promise.isDone() {
				var zero R
				return zero, fmt.Errorf("waiting for %s command %q: %w", f.level.Name, f.name, context.Cause(ctx))
			}
		}
	}
	return f.outcome()
}

// outcome is what a complete command brought.
func (f *Future[R]) outcome() (R, error) {
	value, _ := f.promise.value.(R) // nil when the command failed, or R is an interface and nil
	return value, f.promise.err
}

type scopeKey struct{}

// WithScope returns a context that marks commands as part of scope, e.g. a test spec or a reconciled object. The
// scope appears in their alerts and records, so that these find their way back although they arrive later.
func WithScope(ctx context.Context, scope string) context.Context {
	return context.WithValue(ctx, scopeKey{}, scope)
}

// Submit hands the command to the executor and returns at once, whatever state that is in. The Future is
// never nil. When ctx is done, the command is taken from its queue, or cancelled; values of ctx reach Run.
//
// A command must not wait for another one of its executor, whatever their classes: with all slots taken by waiters, or the only one that
// the other's class may take, both end in timeouts.
func Submit[R any](ctx context.Context, e *Executor, c Command[R]) *Future[R] {
	return submit(ctx, e, c, true)
}

// submit is Submit; without watch it is the caller who looks at ctx.
func submit[R any](ctx context.Context, e *Executor, c Command[R], watch bool) *Future[R] {
	f := &Future[R]{runFunc: c.Run, killFunc: c.Kill, classifyFunc: c.Classify}
	f.body = f
	f.name, f.targetName, f.idempotent = c.Name, c.Target, c.Idempotent
	if c.Run == nil {
		f.level = &level{Class: Class{Name: c.Class}}
		f.promise.complete(nil, f.fail("submit", 0, 0, fmt.Errorf("%w: command without Run", ErrConfig)))
		return f
	}
	e.submit(ctx, &f.task, c.Class, watch && ctx.Done() != nil)
	return f
}

// Do is Submit and waiting for the end of the command. When ctx is done it returns as soon as
// the command has let go, at most one grace period later.
func Do[R any](ctx context.Context, e *Executor, c Command[R]) (R, error) {
	f := submit(ctx, e, c, false) // this goroutine waits anyway
	done := f.Done()
	select {
	case <-done:
	case <-ctx.Done():
		e.parentDone(&f.task)
		<-done
	}
	return f.outcome()
}

// promise is completed exactly once. Its channel is made only for those who wait.
type promise struct {
	mu       sync.Mutex
	ch       chan struct{}
	finished bool
	value    any
	err      error
}

func (p *promise) done() <-chan struct{} {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.ch == nil {
		p.ch = make(chan struct{})
		if p.finished {
			close(p.ch)
		}
	}
	return p.ch
}

func (p *promise) isDone() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.finished
}

func (p *promise) complete(value any, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.finished {
		panic("executor: command completed twice")
	}
	p.finished, p.value, p.err = true, value, err
	if p.ch != nil {
		close(p.ch)
	}
}
