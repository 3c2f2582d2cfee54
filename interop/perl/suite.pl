# Net::Stomp against whatever listens at INTEROP_STOMP. Prints one line per case as interop/run
# expects it.
use strict;
use warnings;
use Net::Stomp;
use Time::HiRes qw(time);

my ($host, $port) = ($ENV{INTEROP_STOMP} // '') =~ m{^stomp://(?:[^@/]*@)?([^:/]+):(\d+)} or die "no INTEROP_STOMP";
my $reported = 0;
$| = 1;

sub attempt {
    my ($name, $run) = @_;
    $reported++;
    if (eval { local $SIG{ALRM} = sub { die "not within 60 s\n" }; alarm 60; $run->(); alarm 0; 1 }) {
        print "ok $name\n";
    } else {
        alarm 0;
        my $why = $@;
        $why =~ s/\s+/ /g;
        print "FAIL $name: $why\n";
    }
}

sub expect {
    my ($what, $actual, $wanted) = @_;
    die "$what: got '$actual', wanted '$wanted'" unless $actual eq $wanted;
}

sub unique { '/queue/interop-perl-' . join('', map { chr(97 + int rand 26) } 1 .. 12) }

sub connected {
    my $stomp = Net::Stomp->new({ hostname => $host, port => $port, reconnect_on_fork => 0 });
    my $frame = $stomp->connect({ login => 'guest', passcode => 'guest', host => '/', 'accept-version' => '1.0,1.1,1.2', @_ });
    expect('CONNECTED', $frame->command, 'CONNECTED');
    return $stomp;
}

# The next MESSAGE, within ten seconds.
sub heard {
    my ($stomp) = @_;
    my $frame = $stomp->receive_frame({ timeout => 10 }) or die 'nothing came';
    expect('a frame', $frame->command, 'MESSAGE');
    return $frame;
}

attempt('sent-and-heard', sub {
    my ($stomp, $queue) = (connected(), unique());
    $stomp->subscribe({ destination => $queue, id => 1, ack => 'auto' });
    $stomp->send({ destination => $queue, body => "hello\n\x{1}", persistent => 'true', mine => 'yes' });
    my $frame = heard($stomp);
    expect('body', $frame->body, "hello\n\x{1}");
    expect('header', $frame->headers->{mine}, 'yes');
    expect('persistent', $frame->headers->{persistent}, 'true');
    $stomp->disconnect;
});

attempt('sent-with-a-receipt', sub {
    my ($stomp, $queue) = (connected(), unique());
    for my $n (1 .. 10) {
        die "$n has no receipt" unless $stomp->send_with_receipt({ destination => $queue, body => $n, timeout => 10 });
    }
    $stomp->subscribe({ destination => $queue, id => 1, ack => 'client' });
    for my $n (1 .. 10) {
        my $frame = heard($stomp);
        expect('body', $frame->body, $n);
        $stomp->ack({ frame => $frame, id => $frame->headers->{ack} });
    }
    $stomp->disconnect;
    $stomp = connected();
    $stomp->subscribe({ destination => $queue, id => 1 });
    $stomp->send({ destination => $queue, body => 'last' });
    expect('what is left', heard($stomp)->body, 'last');
    $stomp->disconnect;
});

attempt('nack', sub {
    my ($stomp, $queue) = (connected(), unique());
    $stomp->subscribe({ destination => $queue, id => 1, ack => 'client-individual' });
    $stomp->send({ destination => $queue, body => 'x' });
    my $frame = heard($stomp);
    $stomp->nack({ frame => $frame, id => $frame->headers->{ack} });
    my $again = heard($stomp);
    expect('redelivered', $again->headers->{redelivered}, 'true');
    $stomp->ack({ frame => $again, id => $again->headers->{ack} });
    $stomp->disconnect;
});

attempt('sent-in-a-transaction', sub {
    my ($stomp, $queue) = (connected(), unique());
    $stomp->subscribe({ destination => $queue, id => 1 });
    my $say = sub {
        my ($command, $name) = @_;
        $stomp->send_frame(Net::Stomp::Frame->new({ command => $command, headers => { transaction => $name } }));
    };
    $say->('BEGIN', $_) for qw(dropped kept);
    $stomp->send({ destination => $queue, body => "$_ whole", transaction => $_ }) for qw(dropped kept);
    $say->('ABORT', 'dropped');
    $say->('COMMIT', 'kept');
    expect('body', heard($stomp)->body, 'kept whole');
    $stomp->disconnect;
});

attempt('a-wrong-password', sub {
    my $stomp = Net::Stomp->new({ hostname => $host, port => $port, reconnect_on_fork => 0 });
    my $frame = $stomp->connect({ login => 'guest', passcode => 'wrong', host => '/' });
    expect('answer', $frame->command, 'ERROR');
    expect('message', $frame->headers->{message}, 'Bad CONNECT');
});

print "done $reported\n";
