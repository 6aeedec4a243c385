package podexec_test

import (
	"errors"
	"os"
	"runtime"
	"strings"
	"testing"
	"time"

	"k8s.io/client-go/rest"

	"github.com/cutset-dev/cutset/executor"
	"github.com/cutset-dev/cutset/executor/podexec"
)

// A hundred killed streams leave nothing behind: no goroutine, no socket, no heap. Scenario 2.
func TestNothingLeaks(t *testing.T) {
	if testing.Short() {
		t.Skip("waits for client-go's heartbeats; left out by -short")
	}
	for name, protocol := range protocols {
		t.Run(name, func(t *testing.T) {
			address := upgradesAndStops(t, nil, true)
			c := newClient(t, podexec.Config{REST: &rest.Config{Host: "http://" + address}, Protocol: protocol})
			ex := newExecutor(t, 300*time.Millisecond)
			run := func(n int) {
				futures := make([]*executor.Future[podexec.Result], 0, n)
				for range n {
					cmd := command("true")
					cmd.Fresh = true
					futures = append(futures, executor.Submit(t.Context(), ex, c.Wrap(cmd)))
				}
				for _, f := range futures {
					if _, err := f.Wait(t.Context()); !errors.Is(err, executor.ErrTimeout) {
						t.Fatal(err)
					}
				}
			}
			before := measure(t)
			run(100)
			after := measure(t)
			for deadline := time.Now().Add(cleanUp); time.Now().Before(deadline); after = measure(t) {
				if after.goroutines <= before.goroutines && after.sockets <= before.sockets {
					break
				}
				<-time.After(200 * time.Millisecond)
			}
			t.Logf("before %+v, after %+v", before, after)
			if after.goroutines > before.goroutines+2 || after.sockets > before.sockets {
				t.Errorf("before %+v, after %+v: goroutines or sockets leak", before, after)
			}
			if after.heap > before.heap+1<<20 {
				t.Errorf("heap grew by %d KiB, want less than 1 MiB", (after.heap-before.heap)>>10)
			}
		})
	}
}

type usage struct {
	goroutines, sockets int
	heap                uint64
}

func measure(t *testing.T) usage {
	t.Helper()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	fds, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Skip("no /proc")
	}
	n := 0
	for _, fd := range fds {
		if to, err := os.Readlink("/proc/self/fd/" + fd.Name()); err == nil && strings.HasPrefix(to, "socket:") {
			n++
		}
	}
	return usage{runtime.NumGoroutine(), n, m.HeapAlloc}
}
