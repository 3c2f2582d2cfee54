package main

// What the Go suite shares: running cases, unique names, the table of misuse, the restart hook.
// Prints one line per case as interop/run expects it.

import (
	"bufio"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"reflect"
	"strconv"
	"strings"
	"time"
)

const deadline = 20 * time.Second

var (
	url      = os.Getenv("INTEROP_URL")
	errSkip  = errors.New("not here")
	reported int
)

// failure is what check and expect panic with; attempt turns it into a verdict.
type failure struct{ error }

func attempt(name string, run func()) {
	reported++
	defer func() {
		switch trouble := recover().(type) {
		case nil:
			fmt.Printf("ok %s\n", name)
		case failure:
			if errors.Is(trouble.error, errSkip) {
				fmt.Printf("skip %s: %v\n", name, trouble)
				return
			}
			fmt.Printf("FAIL %s: %s\n", name, strings.Join(strings.Fields(trouble.Error()), " "))
		default:
			fmt.Printf("FAIL %s: panic: %v\n", name, trouble)
		}
	}()
	run()
}

func finish() { fmt.Printf("done %d\n", reported) }

// skip ends a case that cannot run at this peer.
func skip(why string) { panic(failure{fmt.Errorf("%w: %s", errSkip, why)}) }

func fail(format string, arguments ...any) { panic(failure{fmt.Errorf(format, arguments...)}) }

func check(err error) {
	if err != nil {
		panic(failure{err})
	}
}

func must[T any](value T, err error) T {
	check(err)
	return value
}

func expect(what string, actual, wanted any) {
	if !reflect.DeepEqual(actual, wanted) {
		fail("%s: got %#v, wanted %#v", what, actual, wanted)
	}
}

func unique(kind string) string {
	bytes := make([]byte, 5)
	must(rand.Read(bytes))
	return "interop." + kind + "." + hex.EncodeToString(bytes)
}

func waitUntil(what string, ready func() bool) {
	for end := time.Now().Add(deadline); !ready(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(end) {
			fail("%s: not within %v", what, deadline)
		}
	}
}

// receive takes one value, or fails at the deadline.
func receive[T any](what string, from <-chan T) T {
	select {
	case value, open := <-from:
		if !open {
			fail("%s: closed", what)
		}
		return value
	case <-time.After(deadline):
		fail("%s: not within %v", what, deadline)
		panic("unreachable")
	}
}

func restartBroker() {
	hook := os.Getenv("INTEROP_RESTART")
	if hook == "" {
		skip("no INTEROP_RESTART")
	}
	check(exec.Command(hook).Run())
}

type answer struct {
	code int
	text string
}

func misuseTable() map[string][]answer {
	file := must(os.Open(os.Getenv("INTEROP_MISUSE")))
	defer file.Close()
	table := map[string][]answer{}
	for lines := bufio.NewScanner(file); lines.Scan(); {
		fields := strings.Split(lines.Text(), "\t")
		if strings.HasPrefix(lines.Text(), "#") || len(fields) != 3 {
			continue
		}
		table[fields[0]] = append(table[fields[0]], answer{must(strconv.Atoi(fields[1])), fields[2]})
	}
	return table
}

func checkMisuse(wanted []answer, object string, got answer) {
	for _, one := range wanted {
		if got.code == one.code && got.text == strings.ReplaceAll(one.text, "{name}", object) {
			return
		}
	}
	fail("got %v, wanted one of %v", got, wanted)
}
