//! The attempts. The numbers are those of the list of known ways out of a sandbox.

/// How many attempts reach nothing even without a sandbox: they need root's rights or x32, or the reaper
/// alone stops them (built environment, closed files, leftover processes).
pub(crate) const VAIN_HERE: usize = 18;

pub(crate) enum EscapeScript {
    Shell(&'static str),
    Python(&'static str),
}

pub(crate) struct EscapeAttempt {
    pub(crate) number: u32,
    pub(crate) name: &'static str,
    pub(crate) script: EscapeScript,
}

/// System calls by number (of x86-64), and machine code for 32-bit ones.
pub(crate) const PRELUDE: &str = r#"
import ctypes, os, socket, struct, sys, time, signal, fcntl, array
libc = ctypes.CDLL(None, use_errno=True)
def call(n, *a):
    a = [ctypes.c_void_p(x) if isinstance(x, int) else x for x in a]
    libc.syscall.restype = ctypes.c_long
    return libc.syscall(ctypes.c_long(n), *a)
def s(t): return ctypes.c_char_p(t.encode())
def got(what=''): print('GOT-OUT', what)
def low(size=4096):
    libc.mmap.restype = ctypes.c_void_p
    return libc.mmap(None, size, 7, 0x22 | 0x40, -1, 0)
def int80(eax, ebx=0, ecx=0, edx=0):
    m = low()
    code = (b'\x53' + b'\xb8' + struct.pack('<I', eax) + b'\xbb' + struct.pack('<I', ebx) + b'\xb9' + struct.pack('<I', ecx)
            + b'\xba' + struct.pack('<I', edx) + b'\xcd\x80' + b'\x48\x98' + b'\x5b' + b'\xc3')
    ctypes.memmove(m, code, len(code))
    return ctypes.CFUNCTYPE(ctypes.c_long)(m)()
def put(data):
    m = low()
    ctypes.memmove(m, data, len(data))
    return m
"#;

use EscapeScript::{Python, Shell};

macro_rules! attempts {
    ($($number:literal $name:literal $kind:ident $script:literal)*) => {
        &[$(EscapeAttempt { number: $number, name: $name, script: $kind($script) }),*]
    };
}

pub(crate) const ATTEMPTS: &[EscapeAttempt] = attempts! {
    1 "absolute path" Shell "echo x > $P/new"
    2 "upwards" Shell "echo x > ../../person/new"
    3 "link out" Shell "ln -s $P out; echo x > out/new"
    4 "hard link" Shell "ln $P/victim.txt here && echo x >> here"
    5 "rename in" Shell "mv $P/victim.txt here"
    6 "rename out" Python "os.rename(T + '/mine', P + '/new')"
    7 "root of own process" Shell "echo x > /proc/self/root$P/new"
    8 "folder of own process" Shell "echo x > /proc/self/cwd/../../person/new"
    9 "root of another process" Shell "echo x > /proc/$VICTIM/root$P/new; echo x > /proc/$PPID/root$P/new2; echo x > /proc/1/root$P/new3"
    10 "truncate" Python "os.truncate(P + '/victim.txt', 0)"
    11 "unlink" Shell "rm -f $P/victim.txt"
    12 "mkdir" Shell "mkdir $P/new"
    13 "mkfifo" Shell "mkfifo $P/new"
    14 "chmod" Shell "chmod 777 $P/victim.txt"
    15 "utimes" Shell "touch -d 2001-01-01 $P/victim.txt || python3 -c \"import os;os.utime('$P/victim.txt',(1,1))\""
    16 "setxattr" Python "os.setxattr(P + '/victim.txt', 'user.x', b'1')"
    17 "archive with absolute paths" Shell "mkdir -p .$P; echo x > .$P/new; tar -cPf a.tar --transform s,^.,, .$P/new; tar -xPf a.tar"
    18 "hook of the repository" Shell "echo x > $P/repo/.git/hooks/post-commit"
    19 "configuration of the repository" Shell "git -C $P/repo config core.fsmonitor x; echo x >> $P/repo/.git/config"
    20 "reference of the repository" Shell "git --git-dir=$P/repo/.git update-ref refs/heads/new HEAD"
    21 "push by path" Shell "git --git-dir=$G -c safe.directory='*' push -q $P/repo/.git HEAD:refs/heads/new"
    22 "tree of another run" Shell "echo x > $O/new"
    23 "start file of the shell" Shell "echo x >> $P/.bashrc"
    24 "keys of ssh" Shell "echo x >> $P/.ssh/authorized_keys"
    25 "shared memory" Shell "echo x > /dev/shm/$NAME-left"
    26 "temporary folder" Shell "echo x > /tmp/$NAME-left; echo x > /var/tmp/$NAME-left"
    27 "device node" Python "os.mknod(T + '/disk', 0o060600, os.makedev(254, 0)); got()"
    28 "mkdir by 32 bit call" Python "int80(39, put((P + '/new').encode() + b'\\0'), 0o755)"
    29 "mount" Python "call(165, s('tmpfs'), s(T), s('tmpfs'), 0, 0) == 0 and got()"
    30 "remount" Shell "mount -o remount,rw,bind / 2>&1 && echo GOT-OUT; mount -o remount,rw / 2>&1 && echo GOT-OUT"
    31 "user namespace" Shell "unshare -U true && echo GOT-OUT; unshare -Ur true && echo GOT-OUT"
    32 "namespace by clone3" Python "a = struct.pack('<11Q', 0x10000000, 0, 0, 0, 17, 0, 0, 0, 0, 0, 0)\nb = ctypes.create_string_buffer(a)\nr = call(435, b, 88)\nif r == 0: os._exit(0)\nr > 0 and got()"
    33 "chroot" Python "os.mkdir(T + '/r'); os.chroot(T + '/r'); got()"
    34 "open by handle" Python "h = ctypes.create_string_buffer(struct.pack('<Ii', 120, 0) + bytes(120)); m = ctypes.c_int()\nr = call(303, -100, s('/usr'), h, ctypes.byref(m), 0)\nd = os.open('/usr', 0)\nr == 0 and call(304, d, h, 0) >= 0 and got()"
    35 "file outside" Shell "cat $P/secret"
    36 ".env" Shell "cat $P/.env"
    37 "key of ssh" Shell "cat $P/.ssh/id_ed25519"
    38 "through a link" Shell "ln -s $P/secret l; cat l"
    39 "file of another run" Shell "cat $O/file"
    40 "shadow" Shell "cat /etc/shadow > /dev/null && echo GOT-OUT"
    41 "own environment" Shell "env; cat -v /proc/self/environ; cat -v /proc/$PPID/environ"
    42 "environment of another" Shell "cat -v /proc/$VICTIM/environ; for p in /proc/[0-9]*; do cat -v $p/environ; done"
    43 "files of another" Shell "cat /proc/$VICTIM/fd/0; ls -l /proc/$VICTIM/fd/ | grep secret && echo GOT-OUT"
    44 "memory of another" Python "f = open('/proc/%d/mem' % VICTIM, 'rb', 0); l = [x for x in open('/proc/%d/maps' % VICTIM) if 'stack' in x][0]; a, b = [int(x, 16) for x in l.split()[0].split('-')]; f.seek(a); sys.stdout.buffer.write(f.read(b - a))"
    45 "memory by call" Python "b = ctypes.create_string_buffer(8); l = (ctypes.c_size_t * 2)(ctypes.addressof(b), 8)\ntry: a = int([x for x in open('/proc/%d/maps' % VICTIM)][0].split('-')[0], 16)\nexcept Exception: a = 0x400000\nr = (ctypes.c_size_t * 2)(a, 8)\ncall(310, VICTIM, l, 1, r, 1, 0) > 0 and got()\nk = os.fork()\nif k == 0: time.sleep(5)\nr = (ctypes.c_size_t * 2)(ctypes.addressof(b), 8)\ncall(310, k, l, 1, r, 1, 0) > 0 and got('own child')\nos.kill(k, 9)"
    46 "ptrace" Python "call(101, 16, VICTIM, 0, 0) == 0 and got()\nk = os.fork()\nif k == 0: time.sleep(5)\ncall(101, 16, k, 0, 0) == 0 and got('own child')\nos.kill(k, 9)"
    47 "file by pidfd" Python "f = call(434, VICTIM, 0); r = call(438, f, 0, 0)\nif r >= 0: os.lseek(r, 0, 0); print(os.read(r, 99))"
    48 "command lines" Shell "for p in /proc/[0-9]*; do tr '\\0' ' ' < $p/cmdline; echo; done 2>/dev/null | grep -q '^sleep 1000 $' && echo GOT-OUT"
    49 "keyring" Python "call(250, 0, -3 & 0xffffffff, 1) >= 0 and got(); call(248, s('user'), s('x'), s('y'), 1, -3 & 0xffffffff) >= 0 and got()"
    50 "tcp" Python "socket.create_connection(('127.0.0.1', PORT), 3)"
    51 "tcp by bash" Shell "exec 3<>/dev/tcp/127.0.0.1/$PORT"
    52 "curl" Shell "curl -s -m 1 --noproxy '*' http://127.0.0.1:$PORT"
    53 "tcp over version 6" Python "socket.create_connection(('::1', PORT6), 3)"
    54 "mptcp" Python "x = socket.socket(2, 1, 262); x.connect(('127.0.0.1', PORT))"
    55 "udp" Python "socket.socket(2, 2).sendto(b'x', ('127.0.0.1', UDP))"
    56 "raw" Python "x = socket.socket(2, 3, 1); got()"
    57 "packet" Python "x = socket.socket(17, 3, 0); got()"
    58 "vsock" Python "x = socket.socket(40, 1); x.settimeout(2); got()"
    59 "unix socket by path" Python "x = socket.socket(1, 1); x.connect(P + '/socket')"
    60 "abstract unix socket" Python "x = socket.socket(1, 1); x.connect('\\0' + NAME)"
    61 "io_uring" Python "b = ctypes.create_string_buffer(120); call(425, 4, b) >= 0 and got()"
    62 "socket by 32 bit call" Python "a = put(struct.pack('<3I', 2, 1, 0)); r = int80(102, 1, a)\nif r >= 0:\n    d = put(b'\\x02\\x00' + struct.pack('>H', PORT) + bytes([127,0,0,1]) + bytes(8)); int80(102, 3, put(struct.pack('<3I', r, d, 16)))"
    63 "x32" Python "r = call(0x40000000 + 41, 2, 1, 0); r >= 0 and got(); call(0x40000000 + 39) > 0 and got('x32 getpid'); call(0x40000000 + 521, 16, VICTIM, 0, 0) == 0 and got()"
    64 "signal" Shell "kill -9 $VICTIM"
    65 "find a process" Shell "[ -d /proc/$VICTIM ] && grep -q '^Name:.sleep' /proc/$VICTIM/status && echo GOT-OUT"
    66 "setuid" Python "os.setresgid(1, 1, 1) if os.getuid() == 0 else None; os.setresuid(1, 1, 1) if os.getuid() == 0 else os.setuid(0); got()"
    67 "program with another user's rights" Shell "grep -q '^NoNewPrivs:.1' /proc/self/status || echo GOT-OUT"
    68 "typing into the console" Python "import pty\nm, w = os.openpty() if os.path.exists('/dev/ptmx') else (0, 0)\npid = os.fork()\nif pid == 0:\n    try:\n        os.setsid(); fcntl.ioctl(w, 0x540E, 0)\n        fcntl.ioctl(w, 0x5412, b'x'); got()\n    except OSError as e: print(e)\n    sys.stdout.flush(); os._exit(0)\nos.waitpid(pid, 0)\ntry: fcntl.ioctl(w, (1 << 32) | 0x5412, b'x'); got('wide')\nexcept Exception as e: print(e)"
    69 "child with a session of its own" Shell "(setsid sh -c 'setsid sh -c \"trap \\\"\\\" TERM HUP; while :; do echo x >> $TMPDIR/../left; sleep 0.02; done\" < /dev/null > /dev/null 2>&1 &' &) ; while [ ! -e $TMPDIR/../left ]; do sleep 0.01; done"
    81 "datagram pair" Python "a, b = socket.socketpair(1, 2); a.sendto(b'x', P + '/datagrams')"
    82 "time namespace" Python "call(272, 0x80) == 0 and got()"
    83 "raising a limit" Python "import resource; resource.setrlimit(resource.RLIMIT_CORE, (1, 1)); got()"
    84 "capabilities" Shell "grep -E '^Cap(Prm|Eff|Bnd|Amb)' /proc/self/status | grep -qv 0000000000000000 && [ $(id -u) = 0 ] && echo GOT-OUT; grep -E '^Cap(Prm|Eff)' /proc/self/status | grep -qv 0000000000000000 && echo GOT-OUT"
    85 "kernel log" Python "b = ctypes.create_string_buffer(99); call(103, 3, b, 99) > 0 and got()"
    86 "configuration of the own git directory" Shell "echo '[core] fsmonitor = x' >> $G/config; git --git-dir=$G config core.x y"
    87 "inherited files" Python "for f in range(3, 64):\n    try: print(os.pread(f, 99, 0))\n    except OSError: pass"
    88 "chmod by a newer call" Python "call(452, -100, s(P + '/victim.txt'), 0o777, 0)"
    89 "other user's tmp files by name" Shell "ls /tmp | grep -v \"^$NAME$\" && echo GOT-OUT"
    90 "the reaper by signal" Python "os.kill(os.getppid(), 9) if os.getppid() > 1 else None; time.sleep(0.2)"
    91 "links left for the confining process" Shell "rm -rf $TMPDIR && ln -s $P/inside $TMPDIR && mkdir $TMPDIR/new"
    92 "keys of the machine" Shell "ls /etc/ssl/private /etc/ssh /root /home /var/lib /var/log /boot 2>/dev/null | grep -q . && echo GOT-OUT"
    93 "sysfs and sysctl" Shell "{ echo 1 > /proc/sys/kernel/panic; } 2>/dev/null && echo GOT-OUT; { echo x > /sys/kernel/mm/transparent_hugepage/enabled; } 2>/dev/null && echo GOT-OUT; ls /sys/class /sys/fs/cgroup 2>/dev/null | grep -q . && echo GOT-OUT"
    94 "namespaces of another" Python "f = call(434, VICTIM, 0); call(308, f, 0x40000000) == 0 and got()"
};
