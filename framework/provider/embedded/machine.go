package embedded

import (
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/cutset-dev/cutset/framework/provider"
	"github.com/cutset-dev/cutset/framework/provider/processes"
)

const (
	insideDisk = "/run/disk" // where a machine sees its disk
	nobody     = 65534       // what programs run as: PostgreSQL refuses to run as root
	diskEnv    = "CUTSET_DISK"
	hostEnv    = "CUTSET_HOSTNAME"
	pidEnv     = "CUTSET_LAST_PID"
	// pidsPerBoot keeps the process ids of one boot apart from those of the next. On a machine that has little else
	// to run they would be the same few, and a lock file from before the crash would seem to be held. They begin
	// again after eight boots, as ids end at 32768 where nobody raised that.
	pidsPerBoot = 3000
)

// machine is a set of namespaces with a first process of its own; killing that one kills all of it
// at once. In a cluster without namespaces it is an address and a directory.
type machine struct {
	*processes.Node
	cluster *Cluster
	host    int    // host part of its address, and number of its port
	address string // the only one
	disk    string // as this process sees it

	volatile *volatileDisk // nil where what is written stays

	boots    int       // so far
	first    *exec.Cmd // nil while it is down, and without namespaces
	pidNS    string
	netNS    *os.File
	isolated bool
}

var _ provider.Machine = (*machine)(nil)

// Addresses implements [provider.Machine]: what the machine's own interfaces say.
func (m *machine) Addresses() ([]string, error) {
	if m.cluster.network == nil || m.isDown() {
		return []string{m.address}, nil
	}
	var found []string
	err := within(m.netNS, func() error {
		addresses, err := net.InterfaceAddrs()
		for _, a := range addresses {
			if prefix, ok := a.(*net.IPNet); ok && prefix.IP.To4() != nil && !prefix.IP.IsLoopback() {
				found = append(found, prefix.IP.String())
			}
		}
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("collect the addresses of machine %s: %w", m.Label, err)
	}
	return found, nil
}

// boot starts the machine's first process and plugs its cable. Nothing to do without namespaces.
func (m *machine) boot(ctx context.Context) error {
	if m.cluster.network == nil || m.first != nil {
		return nil
	}
	exe, err := os.Executable()
	if err != nil {
		return err
	}
	ready, booted, err := os.Pipe()
	if err != nil {
		return err
	}
	defer ready.Close() //nolint:errcheck // read to its end below
	first := exec.CommandContext(context.WithoutCancel(ctx), exe)
	first.Env = []string{
		roleEnv + "=" + roleMachine, diskEnv + "=" + m.disk, hostEnv + "=" + m.Label, pidEnv + "=" + strconv.Itoa(1+m.boots%8*pidsPerBoot),
	}
	m.boots++
	first.ExtraFiles = []*os.File{booted}
	first.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags: unix.CLONE_NEWPID | unix.CLONE_NEWNS | unix.CLONE_NEWNET | unix.CLONE_NEWIPC | unix.CLONE_NEWUTS,
	}
	err = first.Start()
	_ = booted.Close()
	if err != nil {
		return fmt.Errorf("start the first process of machine %s: %w", m.Label, err)
	}
	if said, _ := io.ReadAll(ready); string(said) != "ready" {
		return fmt.Errorf("boot machine %s: its first process said %q, and ended: %w", m.Label, said, first.Wait())
	}
	m.first, m.pidNS = first, pidNamespace(first.Process.Pid)
	if m.netNS, err = os.Open(fmt.Sprintf("/proc/%d/ns/net", first.Process.Pid)); err != nil {
		return fmt.Errorf("find the network of machine %s: %w", m.Label, err)
	}
	if err := m.cluster.network.plug(m.netNS, m.host); err != nil {
		return fmt.Errorf("plug machine %s into the switch: %w", m.Label, err)
	}
	return nil
}

// initMachine is the first process of a machine: mounts, then reaping for ever.
func initMachine() int {
	booted := os.NewFile(3, "booted")
	err := mountMachine(os.Getenv(diskEnv), os.Getenv(hostEnv))
	if err == nil {
		err = os.WriteFile("/proc/sys/kernel/ns_last_pid", []byte(os.Getenv(pidEnv)), 0)
	}
	if err != nil {
		_, _ = fmt.Fprint(booted, err)
		return 1
	}
	_, _ = fmt.Fprint(booted, "ready")
	_ = booted.Close()
	reap(0)
	return 0
}

// mountMachine gives the machine its own process table, shared memory and /run, with its disk, and
// only its disk, in it.
func mountMachine(disk, hostname string) error {
	if err := unix.Sethostname([]byte(hostname)); err != nil {
		return fmt.Errorf("set the host name: %w", err)
	}
	if err := mountProc(); err != nil {
		return err
	}
	dir, err := os.Open(disk) // a handle, as the path disappears under the new /run
	if err != nil {
		return err
	}
	defer dir.Close() //nolint:errcheck // only held for the mount
	for _, dir := range []string{"/dev/shm", "/run"} {
		if err := mountTmpfs(dir); err != nil {
			return err
		}
	}
	if err := os.Mkdir(insideDisk, 0o700); err != nil {
		return err
	}
	if err := unix.Mount(fmt.Sprintf("/proc/self/fd/%d", dir.Fd()), insideDisk, "", unix.MS_BIND, ""); err != nil {
		return fmt.Errorf("mount the disk: %w", err)
	}
	return nil
}

// enter moves the calling thread into the machine for what it starts next. The caller has locked
// the thread and lets it end.
func (m *machine) enter() error {
	// Threads of a process share their root and working directory; a thread that enters another mount namespace may not.
	if err := unix.Unshare(unix.CLONE_FS); err != nil {
		return err
	}
	for _, ns := range []struct {
		name string
		flag int
	}{{"net", unix.CLONE_NEWNET}, {"ipc", unix.CLONE_NEWIPC}, {"uts", unix.CLONE_NEWUTS}, {"pid", unix.CLONE_NEWPID}, {"mnt", unix.CLONE_NEWNS}} {
		file, err := os.Open(fmt.Sprintf("/proc/%d/ns/%s", m.first.Process.Pid, ns.name))
		if err != nil {
			return err
		}
		err = unix.Setns(int(file.Fd()), ns.flag)
		_ = file.Close()
		if err != nil {
			return fmt.Errorf("enter the %s namespace of machine %s: %w", ns.name, m.Label, err)
		}
	}
	return nil
}

// launch starts a program on the machine as an unprivileged user in its own session, its output appended to the log.
func (m *machine) launch(spec provider.Spec, log *os.File) (*exec.Cmd, error) {
	args := spec.Args
	if m.cluster.network != nil {
		args = append([]string{"unshare", "--user", fmt.Sprintf("--map-user=%d", nobody), fmt.Sprintf("--map-group=%d", nobody), "--"}, args...)
	}
	path, err := exec.LookPath(args[0])
	if err != nil {
		return nil, fmt.Errorf("find the program of instance %s: %w", spec.Name, err)
	}
	cmd := &exec.Cmd{Path: path, Args: args, Env: spec.Env, Dir: filepath.Join(m.insideDisk(), spec.Name), Stdout: log, Stderr: log}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if m.cluster.network == nil && os.Getuid() == 0 {
		cmd.SysProcAttr.Credential = &syscall.Credential{Uid: nobody, Gid: nobody}
	}
	started := make(chan error, 1)
	go func() {
		if m.cluster.network != nil {
			runtime.LockOSThread() // and never unlocked: the thread stays in the machine, and ends
			if err := m.enter(); err != nil {
				started <- err
				return
			}
		}
		started <- cmd.Start()
	}()
	if err := <-started; err != nil {
		return nil, fmt.Errorf("start instance %s on machine %s: %w", spec.Name, m.Label, err)
	}
	return cmd, nil
}

func (m *machine) insideDisk() string {
	if m.cluster.network != nil {
		return insideDisk
	}
	return m.disk
}

// Crash implements [provider.Node]: with its first process, the kernel kills everything on the machine.
func (m *machine) Crash(ctx context.Context) error {
	if m.cluster.network == nil {
		return m.Node.Crash(ctx)
	}
	m.cluster.mu.Lock()
	defer m.cluster.mu.Unlock()
	return m.powerOff()
}

func (m *machine) powerOff() error {
	if m.first == nil {
		return nil
	}
	if err := m.first.Process.Kill(); err != nil {
		return fmt.Errorf("kill the first process of machine %s: %w", m.Label, err)
	}
	_ = m.first.Wait() // returns when everything in its process namespace is gone
	_ = m.netNS.Close()
	m.first, m.netNS, m.pidNS = nil, nil, ""
	return m.volatile.restart()
}

// Start implements [provider.Node].
func (m *machine) Start(ctx context.Context) error {
	m.cluster.mu.Lock()
	defer m.cluster.mu.Unlock()
	if err := m.boot(ctx); err != nil {
		return err
	}
	for _, i := range m.cluster.instances {
		if i.machine != m {
			continue
		}
		if err := i.start(ctx); err != nil {
			return err
		}
	}
	return nil
}

// Isolate implements [provider.Machine].
func (m *machine) Isolate(context.Context) error { return m.cluster.setIsolated(m, true) }

// Rejoin implements [provider.Machine].
func (m *machine) Rejoin(context.Context) error { return m.cluster.setIsolated(m, false) }

// Isolated implements [provider.Machine].
func (m *machine) Isolated(ctx context.Context) (isolated bool, seen string, err error) {
	const patience = 300 * time.Millisecond // on one bridge a connection takes microseconds
	var mu sync.Mutex
	var connected, tried []string
	var tries sync.WaitGroup
	for _, name := range m.cluster.order {
		peer := m.cluster.machines[name]
		for _, way := range [][2]*machine{{m, peer}, {peer, m}} {
			if peer == m || way[0].isDown() || way[1].isDown() {
				continue
			}
			label := way[0].Label + " to " + way[1].Label
			tried = append(tried, label)
			tries.Go(func() {
				within, cancel := context.WithTimeout(ctx, patience)
				defer cancel()
				if way[0].connects(within, way[1]) {
					mu.Lock()
					connected = append(connected, label)
					mu.Unlock()
				}
			})
		}
	}
	tries.Wait()
	slices.Sort(connected)
	if len(tried) == 0 {
		return false, "", fmt.Errorf("tell whether machine %s is isolated: it has no peer that is up", m.Label)
	}
	return len(connected) == 0, fmt.Sprintf("tried %v; connected: %v", tried, connected), ctx.Err()
}

func (m *machine) isDown() bool {
	m.cluster.mu.Lock()
	defer m.cluster.mu.Unlock()
	return m.cluster.network != nil && m.first == nil
}

// connects tells whether a connection from this machine to the other one comes about. It brings its
// own listener, so that the answer does not depend on what else runs there.
func (m *machine) connects(ctx context.Context, to *machine) bool {
	var listener net.Listener
	listen := func() (err error) {
		var config net.ListenConfig
		listener, err = config.Listen(ctx, "tcp", net.JoinHostPort(to.address, "0"))
		return err
	}
	var err error
	if to.cluster.network == nil {
		err = listen()
	} else {
		err = within(to.netNS, listen)
	}
	if err != nil {
		return false
	}
	defer listener.Close() //nolint:errcheck // nothing was written
	return m.reach(ctx, listener.Addr().String()) == nil
}

// reach opens and closes a TCP connection from within the machine.
func (m *machine) reach(ctx context.Context, address string) error {
	var conn net.Conn
	var err error
	if m.cluster.network == nil {
		dialer := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(m.address)}}
		conn, err = dialer.DialContext(ctx, "tcp", address)
	} else {
		conn, err = dialWithin(ctx, m.netNS, "tcp", address)
	}
	if err != nil {
		return fmt.Errorf("reach %s from machine %s: %w", address, m.Label, err)
	}
	return conn.Close()
}
