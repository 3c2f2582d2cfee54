package interop;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.UUID;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.Callable;
import java.util.concurrent.TimeUnit;

/**
 * What the Java suite shares: running cases, unique names, the table of misuse, the restart hook.
 * Prints one line per case as interop/run expects it; knows no client library.
 */
final class Suite {
    static final String URL = System.getenv("INTEROP_URL");
    static final int DEADLINE_SECONDS = 20;
    private static int reported;

    /** The case cannot run here. */
    static final class Skip extends Exception {
        Skip(String why) {
            super(why);
        }
    }

    interface Case {
        void run() throws Exception;
    }

    record Answer(int code, String text) {}

    private Suite() {}

    static void attempt(String name, Case body) {
        reported++;
        try {
            body.run();
            System.out.println("ok " + name);
        } catch (Skip skip) {
            System.out.println("skip " + name + ": " + skip.getMessage());
        } catch (Throwable trouble) {
            System.out.println("FAIL " + name + ": " + trouble.toString().replaceAll("\\s+", " "));
            trouble.printStackTrace(System.out);
        }
    }

    static void finish() {
        System.out.println("done " + reported);
        System.exit(0);
    }

    static String unique(String kind) {
        return "interop." + kind + "." + UUID.randomUUID().toString().substring(24);
    }

    static void expect(String what, Object actual, Object wanted) {
        if (!Objects.deepEquals(actual, wanted)) {
            throw new AssertionError(what + ": got " + actual + ", wanted " + wanted);
        }
    }

    static void waitUntil(String what, Callable<Boolean> ready) throws Exception {
        long end = System.nanoTime() + TimeUnit.SECONDS.toNanos(DEADLINE_SECONDS);
        while (!ready.call()) {
            if (System.nanoTime() > end) {
                throw new AssertionError(what + ": not within " + DEADLINE_SECONDS + " s");
            }
            Thread.sleep(20);
        }
    }

    static <T> T take(String what, BlockingQueue<T> from) throws InterruptedException {
        T value = from.poll(DEADLINE_SECONDS, TimeUnit.SECONDS);
        if (value == null) {
            throw new AssertionError(what + ": not within " + DEADLINE_SECONDS + " s");
        }
        return value;
    }

    static void restartBroker() throws Exception {
        String hook = System.getenv("INTEROP_RESTART");
        if (hook == null) {
            throw new Skip("no INTEROP_RESTART");
        }
        int code = new ProcessBuilder(hook).redirectErrorStream(true)
            .redirectOutput(ProcessBuilder.Redirect.DISCARD).start().waitFor();
        expect("the restart hook", code, 0);
    }

    static Map<String, List<Answer>> misuseTable() throws IOException {
        Map<String, List<Answer>> table = new HashMap<>();
        for (String line : Files.readAllLines(Path.of(System.getenv("INTEROP_MISUSE")))) {
            String[] fields = line.split("\t");
            if (!line.startsWith("#") && fields.length == 3) {
                table.computeIfAbsent(fields[0], key -> new ArrayList<>())
                    .add(new Answer(Integer.parseInt(fields[1]), fields[2]));
            }
        }
        return table;
    }

    static void checkMisuse(List<Answer> wanted, String name, Answer got) {
        for (Answer one : wanted) {
            if (got.equals(new Answer(one.code(), one.text().replace("{name}", name)))) {
                return;
            }
        }
        throw new AssertionError("got " + got + ", wanted one of " + wanted);
    }
}
