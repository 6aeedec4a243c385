package embedded

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"github.com/cutset-dev/cutset/framework/provider"
)

// openVolatile makes machines with volatile disks.
func openVolatile(t *testing.T, machines ...string) *Cluster {
	t.Helper()
	if yes, why := inWorld(); !yes {
		t.Skip(why)
	}
	c, err := Open(t.Context(), Options{Run: "volatile", Machines: machines, Logs: t.TempDir(), Volatile: machines})
	must(t, err)
	t.Cleanup(func() { must(t, c.Close(t.Context())) })
	return c
}

// What a crash does to files that were written in every way there is, and, as a negative control, what a crash of another machine does.
func TestVolatileDiskLosesWhatWasNotSynced(t *testing.T) {
	c := openVolatile(t, "m1", "m2")
	disk, _, err := c.Disk("m1")
	must(t, err)
	write := func(name string, flags int, text string, sync bool) {
		t.Helper()
		file, err := os.OpenFile(filepath.Join(disk, name), os.O_WRONLY|os.O_CREATE|flags, 0o600)
		must(t, err)
		_, err = file.WriteString(text)
		must(t, err)
		if sync {
			must(t, unix.Fdatasync(int(file.Fd())))
		}
		must(t, file.Close())
	}
	content := func() map[string]string {
		t.Helper()
		all := map[string]string{}
		entries, err := os.ReadDir(disk)
		must(t, err)
		for _, e := range entries {
			text, err := os.ReadFile(filepath.Join(disk, e.Name())) //nolint:gosec // written above
			must(t, err)
			all[e.Name()] = string(text)
		}
		return all
	}
	write("synced", 0, "kept", true)
	write("by flag", unix.O_DSYNC, "kept", false)
	write("by flag", unix.O_SYNC|os.O_APPEND, ", too", false)
	write("not synced", 0, "lost", false)
	write("grown", 0, "kept", true)
	write("grown", os.O_APPEND, ", and lost", false)
	write("overwritten", 0, "kept kept kept", true)
	write("overwritten", 0, "lost lost", false)
	write("overwritten", 0, "gone", false)
	write("written, overwritten and synced", 0, "lost", false)
	write("written, overwritten and synced", 0, "kept", true)
	write("old name", 0, "kept", true)
	write("old name", os.O_APPEND, ", and lost", false)
	must(t, os.Rename(filepath.Join(disk, "old name"), filepath.Join(disk, "new name")))
	write("replaced", 0, "kept, long ago", true)
	write("replaced", os.O_TRUNC, "lost", false)
	write("removed", 0, "lost", false)
	must(t, os.Remove(filepath.Join(disk, "removed")))

	before := content()
	m1, m2 := c.machines["m1"], c.machines["m2"]
	must(t, m2.Crash(t.Context()))
	if diff := cmp.Diff(before, content()); diff != "" {
		t.Error("the crash of another machine: ", diff)
	}
	must(t, m1.Crash(t.Context()))
	must(t, m1.Start(t.Context()))
	want := map[string]string{
		"synced": "kept", "by flag": "kept, too", "not synced": "", "grown": "kept", "overwritten": "kept kept kept",
		"written, overwritten and synced": "kept", "new name": "kept", "replaced": "",
	}
	if diff := cmp.Diff(want, content()); diff != "" {
		t.Error(diff)
	}
}

// Who reads a file while it is written, as a standby's server does its log, sees what was written.
func TestVolatileDiskShowsWhatIsWritten(t *testing.T) {
	c := openVolatile(t, "m1")
	disk, _, err := c.Disk("m1")
	must(t, err)
	const page, record = 8 << 10, 600 // a record of three is on two pages of the kernel's
	for i := range 4 {
		name := filepath.Join(disk, fmt.Sprint("log", i))
		must(t, os.WriteFile(name, make([]byte, 1<<20), 0o600))
		log, err := os.OpenFile(name, os.O_WRONLY, 0) //nolint:gosec // the test's own
		must(t, err)
		reader, err := os.Open(name) //nolint:gosec // the test's own
		must(t, err)
		text := bytes.Repeat([]byte("written "), 1<<20/8)
		ends := make(chan int, len(text)/record+1)
		go func() {
			defer close(ends)
			for at := 0; at < len(text); at += record {
				end := min(at+record, len(text))
				if _, err := log.WriteAt(text[at:end], int64(at)); err != nil {
					t.Error(err)
					return
				}
				ends <- end
			}
		}()
		seen := make([]byte, page)
		for end := range ends {
			from := (end - 1) / page * page
			_, err := reader.ReadAt(seen, int64(from))
			must(t, err)
			if got := seen[:end-from]; !bytes.Equal(got, text[from:end]) {
				t.Fatalf("of %d bytes written at %d only %d were to be seen", end-from, from, bytes.IndexByte(got, 0))
			}
		}
		must(t, errors.Join(log.Close(), reader.Close()))
	}
}

// A program on the machine sees its disk, and what it syncs outlives it; it hangs and goes on with its disk.
func TestVolatileDiskServesPrograms(t *testing.T) {
	c := openVolatile(t, "m1")
	const script = `n=0; while :; do n=$((n+1)); echo $n >lost; echo $n | dd of=kept conv=fsync,notrunc status=none; done`
	must(t, c.Place(t.Context(), provider.Spec{Name: "p", Machine: "m1", Args: []string{"/bin/sh", "-c", script}, Env: []string{"PATH=" + os.Getenv("PATH")}}))
	disk, _, err := c.Disk("m1")
	must(t, err)
	read := func(name string) string {
		text, _ := os.ReadFile(filepath.Join(disk, "p", name)) //nolint:gosec // the test's own
		return strings.TrimSpace(string(text))
	}
	m1 := c.machines["m1"]
	for range 10 {
		must(t, m1.Hang(t.Context()))
		eventually(t, func() error { // what it waits for of its disk it still gets
			o, err := m1.Observe(t.Context())
			if err == nil && o.State != provider.Hung {
				err = errors.New(o.Seen)
			}
			return err
		})
		seen := read("kept")
		must(t, m1.Resume(t.Context()))
		eventually(t, func() error {
			if now := read("kept"); now == seen || now == "" {
				return fmt.Errorf("kept is %q, and was %q", now, seen)
			}
			return nil
		})
	}
	must(t, m1.Crash(t.Context()))
	if kept, lost := read("kept"), read("lost"); kept == "" || lost != "" {
		t.Errorf("after the crash, what was synced is %q, and what was not is %q", kept, lost)
	}
}
