package embedded

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"

	"golang.org/x/sys/unix"

	"github.com/cutset-dev/cutset/framework/provider/volatile"
)

// volatileDisk is the process that serves a machine's [volatile.Disk]. It is none of the machine's processes: it answers while those hang,
// and dies after them, so that none is left waiting for it.
type volatileDisk struct {
	dir     string
	process *exec.Cmd // nil while there is no power
	power   io.Closer // cuts it
}

// serve starts the process.
func (d *volatileDisk) serve() error {
	exe, err := os.Executable()
	if err != nil {
		return err
	}
	ready, mounted, err := os.Pipe()
	if err != nil {
		return err
	}
	defer ready.Close()          //nolint:errcheck // read to its end below
	process := exec.Command(exe) //nolint:noctx // it ends with its machine
	process.Env = []string{roleEnv + "=" + roleDisk, diskEnv + "=" + d.dir}
	process.ExtraFiles, process.Stderr = []*os.File{mounted}, os.Stderr
	power, err := process.StdinPipe()
	if err == nil {
		err = process.Start()
	}
	_ = mounted.Close()
	if err != nil {
		return fmt.Errorf("start the process of the volatile disk %s: %w", d.dir, err)
	}
	if said, _ := io.ReadAll(ready); string(said) != "ready" {
		return errors.Join(fmt.Errorf("the process of the volatile disk %s said %q, and ended", d.dir, said), process.Wait())
	}
	d.process, d.power = process, power
	return nil
}

// cut cuts the power: what was not synced is lost. Nothing to do where the disk is none of these.
func (d *volatileDisk) cut() error {
	if d == nil || d.process == nil {
		return nil
	}
	_ = d.power.Close()
	err := d.process.Wait()
	d.process = nil
	if err == nil {
		err = unix.Unmount(d.dir, unix.MNT_DETACH)
	}
	if err != nil {
		return fmt.Errorf("cut the power of the volatile disk %s: %w", d.dir, err)
	}
	return nil
}

// restart cuts the power and brings it back.
func (d *volatileDisk) restart() error {
	if d == nil {
		return nil
	}
	if err := d.cut(); err != nil {
		return err
	}
	return d.serve()
}

// initDisk is the process of a volatile disk.
func initDisk() int {
	mounted := os.NewFile(3, "mounted")
	disk, err := volatile.Mount(os.Getenv(diskEnv))
	if err != nil {
		_, _ = fmt.Fprint(mounted, err)
		return 1
	}
	_, _ = fmt.Fprint(mounted, "ready")
	_ = mounted.Close()
	_, _ = io.Copy(io.Discard, os.Stdin) // ends when the power is cut
	if err := disk.CutPower(); err != nil {
		_, _ = fmt.Fprintln(os.Stderr, "cutset:", err)
		return 1
	}
	return 0
}
