package main

import (
	"context"
	"errors"
	"sync"
	"testing"

	"github.com/cutset-dev/cutset/executor"
)

func nothing(context.Context) error { return nil }

// Submission and completion of a command that does nothing, 16 slots, many in flight.
func BenchmarkSubmitComplete(b *testing.B) {
	for _, p := range peers {
		b.Run(p.name, func(b *testing.B) {
			peer := p.make()
			if e, ok := peer.(*executorPeer); ok {
				benchmarkExecutor(b, e)
				return
			}
			var wg sync.WaitGroup
			b.ReportAllocs()
			tokens := make(chan struct{}, 1024) // bounded, so that queues do not dominate
			for b.Loop() {
				wg.Add(1)
				tokens <- struct{}{}
				peer.submit(true, nothing, func(error) { <-tokens; wg.Done() })
			}
			wg.Wait()
			peer.close()
		})
	}
}

// benchmarkExecutor leaves out the goroutine that the comparison needs to learn of the end.
func benchmarkExecutor(b *testing.B, _ *executorPeer) {
	b.Helper()
	ex, err := executor.New([]executor.Class{{Name: "c", Weight: 1, MaxParallel: slots, MaxQueue: 1 << 20}}, executor.WithSinks())
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	tokens := make(chan struct{}, 1024)
	run := func(context.Context, executor.Attempt) (struct{}, error) { <-tokens; return struct{}{}, nil }
	for b.Loop() {
		tokens <- struct{}{}
		executor.Submit(context.Background(), ex, executor.Command[struct{}]{Class: "c", Run: run})
	}
	if err := ex.Drain(context.Background()); err != nil {
		b.Fatal(err)
	}
}

// One command at a time, waited for.
func BenchmarkRoundTrip(b *testing.B) {
	for _, p := range peers {
		b.Run(p.name, func(b *testing.B) {
			peer := p.make()
			b.ReportAllocs()
			done := make(chan error, 1)
			for b.Loop() {
				peer.submit(true, nothing, func(err error) { done <- err })
				if err := <-done; err != nil && !errors.Is(err, context.DeadlineExceeded) {
					b.Fatal(err)
				}
			}
			peer.close()
		})
	}
}
