package executor

import (
	"context"
	"sync"
	"time"
)

// attemptCtx is the context of one attempt. It is a type of its own because the executor's one timer
// already knows the deadline: context.WithDeadline would add four allocations and a runtime timer to every
// command. It has AfterFunc, so contexts derived from it need no goroutine (see package context).
type attemptCtx struct {
	parent   context.Context // values only; its cancellation arrives through the task
	exec     *Executor
	deadline instant

	mu    sync.Mutex
	ch    chan struct{} // made on first use
	err   error
	funcs map[*func()]struct{}
}

var _ context.Context = (*attemptCtx)(nil)

// Deadline is the end of the attempt, before any grace period.
func (c *attemptCtx) Deadline() (time.Time, bool) {
	return c.exec.epoch.Add(time.Duration(c.deadline)), true
}

// Value looks the key up in the context that was given to Submit.
func (c *attemptCtx) Value(key any) any { return c.parent.Value(key) }

// Done is closed at the deadline, at cancellation, and when the attempt has returned.
func (c *attemptCtx) Done() <-chan struct{} {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.ch == nil {
		c.ch = make(chan struct{})
		if c.err != nil {
			close(c.ch)
		}
	}
	return c.ch
}

// Err is nil, context.DeadlineExceeded or context.Canceled.
func (c *attemptCtx) Err() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.err
}

// AfterFunc is what package context looks for when it derives a context from a foreign one.
func (c *attemptCtx) AfterFunc(f func()) (stop func() bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.err != nil {
		go f()
		return func() bool { return false }
	}
	if c.funcs == nil {
		c.funcs = make(map[*func()]struct{})
	}
	key := &f
	c.funcs[key] = struct{}{}
	return func() bool {
		c.mu.Lock()
		defer c.mu.Unlock()
		_, waiting := c.funcs[key]
		delete(c.funcs, key)
		return waiting
	}
}

// cancel ends the context; only the first call counts. It runs no foreign code in the caller's goroutine.
func (c *attemptCtx) cancel(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.err != nil {
		return
	}
	c.err = err
	if c.ch != nil {
		close(c.ch)
	}
	for f := range c.funcs {
		go (*f)()
	}
	c.funcs = nil
}
