package pool_test

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/cutset-dev/cutset/executor/pool"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

type conn struct {
	id     int64
	broken atomic.Bool
	closed atomic.Int32
}

type world struct {
	n  atomic.Int64
	mu sync.Mutex
	cs []*conn
}

func (w *world) config() pool.Config[string, *conn] {
	return pool.Config[string, *conn]{
		Dial: func(context.Context, string) (*conn, error) {
			c := &conn{id: w.n.Add(1)}
			w.mu.Lock()
			defer w.mu.Unlock()
			w.cs = append(w.cs, c)
			return c, nil
		},
		Check: func(ctx context.Context, c *conn) error {
			if c.broken.Load() {
				<-ctx.Done() // a hung connection
				return ctx.Err()
			}
			return nil
		},
		Close: func(c *conn) { c.closed.Add(1) },
		Max:   2,
	}
}

func TestReuseCheckAndCap(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &world{}
		p := pool.New(w.config())
		get := func(key string) *pool.Lease[*conn] {
			t.Helper()
			l, err := p.Get(t.Context(), key)
			if err != nil {
				t.Fatal(err)
			}
			return l
		}
		a, b := get("x"), get("x")
		if _, err := p.Get(t.Context(), "x"); !errors.Is(err, pool.ErrExhausted) {
			t.Errorf("third connection: %v, want ErrExhausted", err)
		}
		get("y").Discard()
		b.Kill() // makes room at once, although its user has not let go
		b.Keep() // too late, does nothing
		c := get("x")
		a.Keep()
		c.Keep()
		if l := get("x"); !l.Reused || l.Conn != c.Conn {
			t.Error("the youngest idle connection was not reused")
		} else {
			l.Conn.broken.Store(true)
			l.Keep()
		}
		<-time.After(2 * time.Second) // now the check is due, and the broken one is replaced by the other
		began := time.Now()
		l := get("x")
		if l.Conn != a.Conn || time.Since(began) != time.Second {
			t.Errorf("got connection %d after %v, want %d after the check's 1 s", l.Conn.id, time.Since(began), a.Conn.id)
		}
		l.Keep()
		<-time.After(6 * time.Minute)
		if l := get("x"); l.Reused {
			t.Error("a connection was reused after MaxIdle")
		} else {
			l.Keep()
		}
		if err := p.Close(t.Context()); err != nil {
			t.Error(err)
		}
		for _, c := range w.cs {
			if n := c.closed.Load(); n != 1 {
				t.Errorf("connection %d was closed %d times", c.id, n)
			}
		}
		if _, err := p.Get(t.Context(), "x"); !errors.Is(err, pool.ErrClosed) {
			t.Errorf("after Close: %v", err)
		}
	})
}

func TestCloseThatHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &world{}
		cfg := w.config()
		release := make(chan struct{})
		cfg.Close = func(*conn) { <-release }
		p := pool.New(cfg)
		l, err := p.Get(t.Context(), "x")
		if err != nil {
			t.Fatal(err)
		}
		l.Kill() // must not block
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := p.Close(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("close: %v", err)
		}
		close(release)
	})
}
