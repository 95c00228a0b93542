// Command probe is the program that the conformance suite runs inside a Sandbox: it does one thing and reports what it sees.
package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"os/signal"
	"strconv"
	"syscall"

	"sluice/runtime/sandbox/sandboxtest/report"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "probe:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	if len(args) == 0 {
		return fmt.Errorf("no verb")
	}
	argument := ""
	if len(args) > 1 {
		argument = args[1]
	}
	switch args[0] {
	case "exit":
		code, err := strconv.Atoi(argument)
		if err != nil {
			return err
		}
		fmt.Println("to output")
		fmt.Fprintln(os.Stderr, "to errors")
		os.Exit(code)
	case "env":
		return json.NewEncoder(os.Stdout).Encode(os.Environ())
	case "report": // looks everywhere: for containers alone
		return json.NewEncoder(os.Stdout).Encode(report.Make())
	case "hold": // with SIGTERM ignored, or ending the program with a status
		return hold(argument)
	case "parent":
		return parent(argument)
	case "serve":
		return serve(argument)
	case "link", "pipe", "file":
		if err := deceive(args[0], argument); err != nil {
			return err
		}
		return hold("")
	case "allocate":
		return allocate(argument)
	case "fork":
		return fork(argument)
	case "wait":
		_, err := io.Copy(io.Discard, os.Stdin)
		return err
	}
	return fmt.Errorf("unknown verb %q", args[0])
}

// ready connects to the suite; the connection lasts as long as this process.
func ready() error {
	connection, err := net.Dial("unix", os.Getenv(report.EnvReady))
	if err != nil {
		return err
	}
	_, err = connection.Write([]byte{1})
	held = connection
	return err
}

var held net.Conn // keeps the connection from being collected

func hold(onTerm string) error {
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGTERM)
	if err := ready(); err != nil {
		return err
	}
	for range signals {
		if code, err := strconv.Atoi(onTerm); err == nil {
			os.Exit(code)
		}
	}
	return nil
}

// parent starts a child that holds; then it holds too, or exits as soon as the suite closes its connection.
func parent(then string) error {
	child := exec.Command("/proc/self/exe", "hold")
	child.Stdout, child.Stderr = os.Stdout, os.Stderr
	if err := child.Start(); err != nil {
		return err
	}
	if then == "hold" {
		return hold("")
	}
	if err := ready(); err != nil {
		return err
	}
	_, _ = io.Copy(io.Discard, held)
	return nil
}

// serve answers each connection with the text "served"; on the TCP port that is given, or else on the function's socket.
func serve(port string) error {
	network, address := "unix", os.Getenv("SLUICE_FUNCTION_SOCKET")
	if port != "" {
		network, address = "tcp", net.JoinHostPort("127.0.0.1", port)
	}
	listener, err := net.Listen(network, address)
	if err != nil {
		return err
	}
	if err := ready(); err != nil {
		return err
	}
	for {
		connection, err := listener.Accept()
		if err != nil {
			return err
		}
		_, _ = connection.Write([]byte("served"))
		connection.Close()
	}
}

// deceive puts something else where the function's socket is expected.
func deceive(kind, target string) error {
	path := os.Getenv("SLUICE_FUNCTION_SOCKET")
	switch kind {
	case "link":
		return os.Symlink(target, path)
	case "pipe":
		return syscall.Mkfifo(path, 0o666)
	}
	return os.WriteFile(path, nil, 0o666)
}

func allocate(size string) error {
	count, err := strconv.Atoi(size)
	if err != nil {
		return err
	}
	memory, err := syscall.Mmap(-1, 0, count, syscall.PROT_READ|syscall.PROT_WRITE, syscall.MAP_ANON|syscall.MAP_PRIVATE)
	if err != nil {
		return err
	}
	for i := 0; i < len(memory); i += os.Getpagesize() {
		memory[i] = 1
	}
	fmt.Println("allocated", count)
	return nil
}

// fork starts as many children as it can, up to count, and prints how many that were.
func fork(count string) error {
	most, err := strconv.Atoi(count)
	if err != nil {
		return err
	}
	read, write, err := os.Pipe()
	if err != nil {
		return err
	}
	started := 0
	for ; started < most; started++ {
		child := exec.Command("/proc/self/exe", "wait")
		child.Stdin = read
		if err := child.Start(); err != nil {
			break
		}
	}
	write.Close()
	fmt.Println("forked", started)
	return nil
}
