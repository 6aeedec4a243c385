package embedded

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"runtime"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/cutset-dev/cutset/framework/provider/owner"
)

// The program re-executes itself in these roles; see the package comment for who starts whom.
const (
	roleEnv     = "CUTSET_ROLE"
	roleInit    = "init"    // first process of a run's world: prepares mounts, reaps, ends with the world
	roleTests   = "tests"   // the tests themselves, inside the world
	roleMachine = "machine" // first process of one machine
	roleDisk    = "disk"    // the process that serves one machine's disk, where that is volatile
)

const (
	reasonEnv = "CUTSET_WORLD_REASON" // why the tests run without namespaces
	outerEnv  = "CUTSET_OUTER"        // the process that a user sees, and kills: its id and birth
	worldDir  = "/run/cutset"         // in the world's own mount namespace
)

// exitForbidden is what the world's first process ends with when this host forbids what a world needs.
const exitForbidden = 97

// Mode chooses what machines are made of.
type Mode string

// Auto takes namespaces where the host permits them, loopback addresses elsewhere.
const (
	Auto       Mode = "auto"
	Namespaces Mode = "namespaces"
	Loopback   Mode = "loopback"
)

// Enter moves the calling program into a world of its own. Call it first thing in main or TestMain.
//
// It returns only in the process that shall go on with its work: inside the world, or, with mode
// Loopback or on a host that forbids namespaces, in the same process as before. In all
// other roles it ends the process itself, with the exit code of the work. Signals that
// reach the outer process are passed on to the inner one once.
func Enter(mode Mode) error {
	switch os.Getenv(roleEnv) {
	case roleInit:
		os.Exit(initWorld())
	case roleMachine:
		os.Exit(initMachine())
	case roleDisk:
		os.Exit(initDisk())
	case roleTests:
		return nil
	}
	if mode == Loopback {
		return os.Setenv(reasonEnv, "asked for by configuration")
	}
	code, err := runWorld()
	if err == nil {
		os.Exit(code)
	}
	if mode == Namespaces {
		return fmt.Errorf("enter a world of namespaces: %w; permit unprivileged user namespaces, or choose the world %q", err, Loopback)
	}
	return os.Setenv(reasonEnv, err.Error())
}

// inWorld tells whether this process lives in a world of namespaces, and if not, why.
func inWorld() (bool, string) {
	return os.Getenv(roleEnv) == roleTests, os.Getenv(reasonEnv)
}

// runWorld starts the world's first process and waits for it. The error is about namespaces only:
// whatever the work inside ended with is in the exit code.
func runWorld() (int, error) {
	// The parent-death signal goes by thread, so this goroutine may not change its own.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()

	exe, err := os.Executable()
	if err != nil {
		return 0, err
	}
	cmd := exec.Command(exe, worldArgs(os.Args[1:])...) //nolint:noctx // it lives as long as this process, by the parent-death signal
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	self := owner.Self()
	cmd.Env = append(os.Environ(), roleEnv+"="+roleInit, outerEnv+"="+fmt.Sprintf("%d:%d", self.PID, self.Born))
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags:  unix.CLONE_NEWUSER | unix.CLONE_NEWPID | unix.CLONE_NEWNS | unix.CLONE_NEWIPC,
		UidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getuid(), Size: 1}},
		GidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getgid(), Size: 1}},
		Pdeathsig:   unix.SIGKILL,
		// A terminal's Ctrl-C goes to a whole process group: in its own group the world gets it once, from us.
		Setpgid: true,
	}
	reason, why, err := os.Pipe()
	if err != nil {
		return 0, err
	}
	defer reason.Close() //nolint:errcheck // read to its end below
	cmd.ExtraFiles = []*os.File{why}

	signals := make(chan os.Signal, 8)
	signal.Notify(signals, unix.SIGINT, unix.SIGTERM, unix.SIGHUP, unix.SIGQUIT)
	defer signal.Stop(signals)
	err = cmd.Start()
	_ = why.Close()
	if err != nil {
		return 0, fmt.Errorf("this host forbids user namespaces: %w", err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	for {
		select {
		case sig := <-signals:
			_ = cmd.Process.Signal(sig)
		case err := <-ended:
			code := exitCode(err)
			if code != exitForbidden {
				return code, nil
			}
			text := make([]byte, 4096)
			n, _ := reason.Read(text)
			return 0, errors.New(strings.TrimSpace(string(text[:n])))
		}
	}
}

// worldArgs drops the file in which go test collects what a test depends on: a test without one is
// never served from the cache, and a run against a live database must not be.
func worldArgs(args []string) []string {
	kept := make([]string, 0, len(args))
	for _, arg := range args {
		if !strings.HasPrefix(arg, "-test.testlogfile=") {
			kept = append(kept, arg)
		}
	}
	return kept
}

func exitCode(err error) int {
	var exit *exec.ExitError
	switch {
	case err == nil:
		return 0
	case !errors.As(err, &exit):
		return 1
	case exit.ExitCode() >= 0:
		return exit.ExitCode()
	default: // by a signal
		return 128 + int(exit.Sys().(syscall.WaitStatus).Signal())
	}
}

// initWorld is the first process of a world: mounts, then the tests, then reaping until they end.
func initWorld() int {
	why := os.NewFile(3, "reason")
	if err := mountWorld(); err != nil {
		_, _ = fmt.Fprintf(why, "this host forbids mounts in a user namespace: %v", err)
		return exitForbidden
	}
	_ = why.Close()
	exe, err := os.Executable()
	if err != nil {
		_, _ = fmt.Fprintln(os.Stderr, "cutset: find the program to run in the world:", err)
		return 1
	}
	if err := os.Setenv(roleEnv, roleTests); err != nil {
		_, _ = fmt.Fprintln(os.Stderr, "cutset:", err)
		return 1
	}
	signals := make(chan os.Signal, 8)
	signal.Notify(signals, unix.SIGINT, unix.SIGTERM, unix.SIGHUP, unix.SIGQUIT)
	tests, err := os.StartProcess(exe, os.Args, &os.ProcAttr{
		Files: []*os.File{os.Stdin, os.Stdout, os.Stderr},
	})
	if err != nil {
		_, _ = fmt.Fprintln(os.Stderr, "cutset: start the tests in their world:", err)
		return 1
	}
	go func() {
		for sig := range signals {
			_ = tests.Signal(sig)
		}
	}()
	status := reap(tests.Pid)
	if status.Signaled() {
		_, _ = fmt.Fprintf(os.Stderr, "cutset: the tests were killed (%v); their world ends with them\n", status.Signal())
		return 128 + int(status.Signal())
	}
	return status.ExitStatus()
}

// mountWorld gives the world its own process table, /run and shared memory. All are gone with it.
func mountWorld() error {
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return fmt.Errorf("make the mounts private: %w", err)
	}
	if err := mountProc(); err != nil {
		return err
	}
	for _, dir := range []string{"/run", "/dev/shm"} {
		if err := mountTmpfs(dir); err != nil {
			return err
		}
	}
	return os.Mkdir(worldDir, 0o755)
}

func mountProc() error {
	if err := unix.Mount("proc", "/proc", "proc", unix.MS_NOSUID|unix.MS_NODEV|unix.MS_NOEXEC, ""); err != nil {
		return fmt.Errorf("mount /proc: %w", err)
	}
	return nil
}

func mountTmpfs(dir string) error {
	if err := unix.Mount("tmpfs", dir, "tmpfs", unix.MS_NOSUID|unix.MS_NODEV, "mode=0755"); err != nil {
		return fmt.Errorf("mount %s: %w", dir, err)
	}
	return nil
}

// reap collects every child that ends, as a first process must, until the one given ends; with 0, for ever.
func reap(until int) unix.WaitStatus {
	ended := make(chan os.Signal, 1)
	signal.Notify(ended, unix.SIGCHLD)
	for {
		var status unix.WaitStatus
		pid, err := unix.Wait4(-1, &status, 0, nil)
		switch {
		case err == nil && pid == until && (status.Exited() || status.Signaled()):
			return status
		case errors.Is(err, unix.ECHILD):
			<-ended // no child now, but orphans can still arrive
		}
	}
}
