package podexec_test

import (
	"io"
	"os"
	"path/filepath"
	"syscall"
	"testing"
)

// beacon tells when a process of the server's is there, and when it is gone. A process whose script begins with light
// holds a pipe open as long as it lives; lit is closed when it has written to that, out when it has ended.
type beacon struct {
	light    string
	lit, out <-chan struct{}
}

func newBeacon(tb testing.TB) beacon {
	tb.Helper()
	path := filepath.Join(tb.TempDir(), "beacon")
	if err := syscall.Mkfifo(path, 0o600); err != nil {
		tb.Fatal(err)
	}
	both, err := os.OpenFile(path, os.O_RDWR, 0) // as long as this writes to it, too, a reader need not find a writer
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = both.Close() })
	reader, err := os.Open(path)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = reader.Close() })
	lit, out := make(chan struct{}), make(chan struct{})
	go func() {
		if _, err := reader.Read(make([]byte, 1)); err != nil {
			return
		}
		_ = both.Close()
		close(lit)
		if _, err := io.Copy(io.Discard, reader); err == nil {
			close(out)
		}
	}()
	return beacon{light: "exec 9>" + path + "; echo >&9; ", lit: lit, out: out}
}
