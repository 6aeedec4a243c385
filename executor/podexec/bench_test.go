package podexec_test

import (
	"slices"
	"testing"
	"time"

	"github.com/cutset-dev/cutset/executor"
	"github.com/cutset-dev/cutset/executor/podexec"
)

// A command in a kept session against an exec request per command, through client-go and a loopback server that
// speaks the real protocol and runs real processes.
func BenchmarkExec(b *testing.B) {
	for _, secure := range []bool{false, true} {
		server := newAPIServer(b, secure)
		for name, cfg := range map[string]podexec.Config{
			"session":         {},
			"fresh/websocket": {NoSessions: true, Protocol: podexec.WebSocket},
			"fresh/spdy":      {NoSessions: true, Protocol: podexec.SPDY},
		} {
			if secure {
				name += "/tls"
			}
			b.Run(name, func(b *testing.B) {
				cfg.REST = server.config("")
				cfg.NoRemoteTimeout = true
				c, err := podexec.New(cfg)
				if err != nil {
					b.Fatal(err)
				}
				ex, err := executor.New([]executor.Class{{Name: "pod", Weight: 1, MaxParallel: 1}}, executor.WithSinks())
				if err != nil {
					b.Fatal(err)
				}
				var times []time.Duration
				for b.Loop() {
					began := time.Now()
					if _, err := c.Do(b.Context(), ex, command("true")); err != nil {
						b.Fatal(err)
					}
					times = append(times, time.Since(began))
				}
				slices.Sort(times)
				b.ReportMetric(float64(times[len(times)/2].Microseconds()), "p50-us")
				b.ReportMetric(float64(times[len(times)*99/100].Microseconds()), "p99-us")
				if err := c.Close(b.Context()); err != nil {
					b.Fatal(err)
				}
			})
		}
	}
}
