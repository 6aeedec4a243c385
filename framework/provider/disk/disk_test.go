package disk_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/cutset-dev/cutset/framework/provider/disk"
	"github.com/cutset-dev/cutset/framework/provider/embedded"
)

func TestMain(m *testing.M) {
	if err := embedded.Enter(embedded.Auto); err != nil { // where anybody may mount
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(m.Run())
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// Every step twice: each is idempotent.
func TestFill(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "disk")
	if err := disk.Mount(dir); errors.Is(err, unix.EPERM) {
		t.Skip(err)
	} else {
		must(t, err)
	}
	t.Cleanup(func() { must(t, disk.Unmount(dir)) })
	full := func(want bool) {
		t.Helper()
		got, seen, err := disk.Full(dir)
		must(t, err)
		if got != want {
			t.Errorf("full is %v, want %v: %s", got, want, seen)
		}
	}
	data := filepath.Join(dir, "data")
	must(t, os.WriteFile(data, make([]byte, 2<<20), 0o600))
	full(false)
	for range 2 {
		must(t, disk.Fill(t.Context(), dir))
		full(true)
	}
	if err := os.WriteFile(filepath.Join(dir, "more"), []byte("x"), 0o600); !errors.Is(err, unix.ENOSPC) {
		t.Errorf("wrote on a full disk: got %v, want ENOSPC", err)
	}
	must(t, os.Remove(data)) // what becomes free is taken, too
	deadline := time.After(5 * time.Second)
	for left := int64(1); left != 0; {
		var fs unix.Statfs_t
		must(t, unix.Statfs(dir, &fs))
		left = int64(fs.Bavail) //nolint:gosec // no disk is that large
		select {
		case <-deadline:
			t.Fatalf("%d blocks are still free", left)
		default:
		}
	}
	full(true)
	for range 2 {
		must(t, disk.Free(dir))
		full(false)
	}
	must(t, os.WriteFile(data, make([]byte, 2<<20), 0o600))
	for range 2 {
		must(t, disk.Unmount(dir))
	}
	if _, err := os.Stat(dir); err == nil {
		t.Error("the disk's directory is left")
	}
}

// A file system that others use is never filled.
func TestFillRefusesWhatIsNotADisk(t *testing.T) {
	dir := t.TempDir()
	if err := disk.Fill(t.Context(), dir); !errors.Is(err, errors.ErrUnsupported) {
		t.Errorf("got %v, want ErrUnsupported", err)
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
		t.Errorf("it left %v, %v", left, err)
	}
	must(t, os.WriteFile(filepath.Join(dir, "data"), nil, 0o600))
	if err := disk.Unmount(dir); err == nil {
		t.Error("a directory with data that is no disk was removed")
	}
}
