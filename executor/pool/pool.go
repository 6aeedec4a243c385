// Package pool keeps connections: per key (a class and a target, say) a bounded number of them, reused
// last in first out, checked before reuse when they were idle, and replaced when broken or hung.
//
// It does not queue: who may have a connection is decided by the executor, whose slots of a class and bounds of
// a target are the cap. A pool that queued as well would hide waiting from the weights.
package pool

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"
)

// Errors of a pool.
var (
	// ErrExhausted means that all connections of a key are in use.
	ErrExhausted = errors.New("pool: all connections of the key are in use")
	// ErrClosed means that the pool was closed.
	ErrClosed = errors.New("pool: closed")
)

// Config says how a pool's connections are made and kept.
type Config[K comparable, C any] struct {
	// Dial makes a connection. Required.
	Dial func(ctx context.Context, key K) (C, error)
	// Check reports whether a connection that was idle for CheckAfter still works. nil means that it does.
	Check func(ctx context.Context, conn C) error
	// Close ends a connection. It is called in a goroutine of its own, since it may hang. Required.
	Close func(conn C)
	// Max bounds the connections of one key that are in use. Default 8.
	Max int
	// MaxIdleConns bounds the connections of one key that are kept. Default Max.
	MaxIdleConns int
	// CheckAfter is the idle time after which Check is asked, CheckTimeout what it gets. Default 1 s each.
	CheckAfter, CheckTimeout time.Duration
	// MaxIdle and MaxLife end a connection that was idle, or lived, so long. Defaults 5 min, 1 h.
	MaxIdle, MaxLife time.Duration
}

// Stats counts what happened to connections.
type Stats struct {
	Idle   int   `json:"idle"`
	InUse  int   `json:"inUse"`
	Dialed int64 `json:"dialed"`
	Reused int64 `json:"reused"`
	// Discarded were given back as broken, Killed while in use, FailedCheck when they were to be reused.
	Discarded   int64 `json:"discarded"`
	Killed      int64 `json:"killed"`
	FailedCheck int64 `json:"failedCheck"`
}

type entry[C any] struct {
	conn       C
	born, idle time.Time
}

// Pool keeps connections of type C by keys of type K. It is safe for concurrent use.
type Pool[K comparable, C any] struct {
	cfg    Config[K, C]
	mu     sync.Mutex
	idle   map[K][]entry[C]
	inUse  map[K]int
	closed bool
	stats  Stats
	wg     sync.WaitGroup // closing connections
}

// New makes an empty pool.
func New[K comparable, C any](cfg Config[K, C]) *Pool[K, C] {
	def := func(d *time.Duration, v time.Duration) {
		if *d <= 0 {
			*d = v
		}
	}
	if cfg.Max <= 0 {
		cfg.Max = 8
	}
	if cfg.MaxIdleConns <= 0 {
		cfg.MaxIdleConns = cfg.Max
	}
	def(&cfg.CheckAfter, time.Second)
	def(&cfg.CheckTimeout, time.Second)
	def(&cfg.MaxIdle, 5*time.Minute)
	def(&cfg.MaxLife, time.Hour)
	return &Pool[K, C]{cfg: cfg, idle: make(map[K][]entry[C]), inUse: make(map[K]int)}
}

// Lease is a connection in use. It ends with the first of Keep, Discard and Kill; later calls do nothing.
type Lease[C any] struct {
	// Conn is the connection. Reused says that it was used before.
	Conn   C
	Reused bool
	once   sync.Once
	end    func(how ending)
}

type ending uint8

const (
	keep ending = iota
	discard
	kill
)

// Keep gives a connection back that can be used again.
func (l *Lease[C]) Keep() { l.once.Do(func() { l.end(keep) }) }

// Discard ends a connection that is broken, or in an unknown state.
func (l *Lease[C]) Discard() { l.once.Do(func() { l.end(discard) }) }

// Kill ends a connection from outside while its user hangs in it. It never blocks.
func (l *Lease[C]) Kill() { l.once.Do(func() { l.end(kill) }) }

// Get returns a kept connection, or dials one.
func (p *Pool[K, C]) Get(ctx context.Context, key K) (*Lease[C], error) {
	for {
		e, found, err := p.take(key)
		if err != nil {
			return nil, err
		}
		if !found {
			break
		}
		if p.usable(ctx, e) {
			p.count(func(s *Stats) { s.Reused++ })
			return p.lease(key, e, true), nil
		}
		p.giveUp(key, e)
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
	}
	conn, err := p.cfg.Dial(ctx, key)
	if err != nil {
		p.release(key)
		return nil, fmt.Errorf("dialing: %w", err)
	}
	p.count(func(s *Stats) { s.Dialed++ })
	return p.lease(key, entry[C]{conn: conn, born: time.Now()}, false), nil
}

// take counts a connection of key as in use, and returns the youngest idle one, if there is one.
func (p *Pool[K, C]) take(key K) (e entry[C], found bool, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case p.closed:
		return e, false, ErrClosed
	case p.inUse[key] >= p.cfg.Max:
		return e, false, fmt.Errorf("%w: %d", ErrExhausted, p.cfg.Max)
	}
	p.inUse[key]++
	p.expire(key, time.Now())
	if kept := p.idle[key]; len(kept) > 0 {
		e, found = kept[len(kept)-1], true
		p.idle[key] = kept[:len(kept)-1]
	}
	return e, found, nil
}

// expire ends what was idle or lived too long; the oldest are in front.
func (p *Pool[K, C]) expire(key K, now time.Time) {
	kept := p.idle[key]
	out := kept[:0]
	for _, e := range kept {
		if now.Sub(e.idle) > p.cfg.MaxIdle || now.Sub(e.born) > p.cfg.MaxLife {
			p.close(e.conn)
			continue
		}
		out = append(out, e)
	}
	p.idle[key] = out
}

func (p *Pool[K, C]) usable(ctx context.Context, e entry[C]) bool {
	if p.cfg.Check == nil || time.Since(e.idle) < p.cfg.CheckAfter {
		return true
	}
	ctx, cancel := context.WithTimeout(ctx, p.cfg.CheckTimeout)
	defer cancel()
	return p.cfg.Check(ctx, e.conn) == nil
}

func (p *Pool[K, C]) giveUp(key K, e entry[C]) {
	p.release(key)
	p.count(func(s *Stats) { s.FailedCheck++ })
	p.mu.Lock()
	defer p.mu.Unlock()
	p.close(e.conn)
}

func (p *Pool[K, C]) lease(key K, e entry[C], reused bool) *Lease[C] {
	l := &Lease[C]{Conn: e.conn, Reused: reused}
	l.end = func(how ending) {
		p.release(key)
		p.mu.Lock()
		defer p.mu.Unlock()
		switch how {
		case keep:
			if !p.closed && len(p.idle[key]) < p.cfg.MaxIdleConns {
				e.idle = time.Now()
				p.idle[key] = append(p.idle[key], e)
				return
			}
		case discard:
			p.stats.Discarded++
		case kill:
			p.stats.Killed++
		}
		p.close(e.conn)
	}
	return l
}

func (p *Pool[K, C]) release(key K) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.inUse[key]--; p.inUse[key] <= 0 {
		delete(p.inUse, key)
	}
}

func (p *Pool[K, C]) count(f func(*Stats)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	f(&p.stats)
}

// close ends a connection without waiting for that. Mutex held.
func (p *Pool[K, C]) close(conn C) {
	p.wg.Go(func() { p.cfg.Close(conn) })
}

// Forget ends the idle connections of a key, e.g. of a target that was replaced.
func (p *Pool[K, C]) Forget(key K) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, e := range p.idle[key] {
		p.close(e.conn)
	}
	delete(p.idle, key)
}

// Stats returns a snapshot.
func (p *Pool[K, C]) Stats() Stats {
	p.mu.Lock()
	defer p.mu.Unlock()
	out := p.stats
	for _, kept := range p.idle {
		out.Idle += len(kept)
	}
	for _, n := range p.inUse {
		out.InUse += n
	}
	return out
}

// Close ends all idle connections, refuses new ones, and waits until all connections that it closed are
// gone, or ctx is done. Connections in use end when they are given back.
func (p *Pool[K, C]) Close(ctx context.Context) error {
	p.mu.Lock()
	p.closed = true
	for key, kept := range p.idle {
		for _, e := range kept {
			p.close(e.conn)
		}
		delete(p.idle, key)
	}
	p.mu.Unlock()
	gone := make(chan struct{})
	go func() { p.wg.Wait(); close(gone) }()
	select {
	case <-gone:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("pool: connections are still closing: %w", context.Cause(ctx))
	}
}
