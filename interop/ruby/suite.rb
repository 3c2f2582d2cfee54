# The stomp gem against whatever listens at INTEROP_STOMP. Prints one line per case as
# interop/run expects it.

require 'securerandom'
require 'stomp'
require 'timeout'
require 'uri'

PLACE = URI.parse(ENV.fetch('INTEROP_STOMP'))
$stdout.sync = true
$reported = 0

def attempt(name)
  $reported += 1
  Timeout.timeout(60) { yield }
  puts "ok #{name}"
rescue Exception => e # a case may fail in any way
  puts "FAIL #{name}: #{e.class}: #{e.message.gsub(/\s+/, ' ')}"
end

def expect(what, actual, wanted)
  raise "#{what}: got #{actual.inspect}, wanted #{wanted.inspect}" unless actual == wanted
end

def unique = "/queue/interop-ruby-#{SecureRandom.hex(6)}"

def connected(version, passcode: 'guest', beats: nil)
  headers = { 'accept-version' => version, 'host' => '/' }
  headers['heart-beat'] = beats if beats
  Stomp::Connection.new(
    hosts: [{ login: 'guest', passcode: passcode, host: PLACE.host, port: PLACE.port }],
    reliable: false, connect_headers: headers, stompconn: false
  )
end

def heard(connection, command = 'MESSAGE')
  frame = Timeout.timeout(10) { connection.receive }
  expect('a frame', frame.command, command)
  frame
end

%w[1.0 1.1 1.2].each do |version|
  attempt("sent-and-heard-in-#{version}") do
    connection = connected(version)
    expect('version', connection.protocol, version)
    name = unique
    connection.subscribe(name, { id: '1', ack: 'auto' }, '1')
    body = (0..255).map(&:chr).join.b * 10
    connection.publish(name, body, { 'mine' => 'yes', 'persistent' => 'true' })
    frame = heard(connection)
    expect('body', frame.body.b, body)
    expect('header', frame.headers['mine'], 'yes')
    connection.disconnect
  end
end

attempt('escapes') do
  connection = connected('1.2')
  name = unique
  connection.subscribe(name, { id: '1' }, '1')
  connection.publish(name, 'x', { 'odd' => "a:b\\e\nf" })
  expect('header', heard(connection).headers['odd'], "a:b\\e\nf")
  connection.disconnect
end

attempt('ack-and-nack') do
  connection = connected('1.2')
  name = unique
  connection.subscribe(name, { id: '1', ack: 'client-individual' }, '1')
  %w[1 2].each { |body| connection.publish(name, body) }
  one, two = heard(connection), heard(connection)
  connection.ack(one.headers['ack'])
  connection.nack(two.headers['ack'])
  again = heard(connection)
  expect('what came back', [again.body, again.headers['redelivered']], %w[2 true])
  connection.ack(again.headers['ack'])
  connection.disconnect(receipt: 'bye')
end

attempt('transactions') do
  connection = connected('1.1')
  name = unique
  connection.subscribe(name, { id: '1' }, '1')
  connection.begin('dropped')
  connection.publish(name, 'no', transaction: 'dropped')
  connection.abort('dropped')
  connection.begin('kept')
  connection.publish(name, 'yes', transaction: 'kept')
  connection.commit('kept')
  expect('body', heard(connection).body, 'yes')
  connection.disconnect
end

attempt('receipts') do
  connection = connected('1.2')
  connection.publish(unique, 'x', receipt: 'r-1')
  expect('receipt', heard(connection, 'RECEIPT').headers['receipt-id'], 'r-1')
  connection.publish('/nowhere', 'x')
  expect('error', heard(connection, 'ERROR').headers['message'], 'Unknown destination')
  connection.disconnect
end

attempt('heart-beats') do
  connection = connected('1.2', beats: '1000,1000')
  name = unique
  connection.subscribe(name, { id: '1' }, '1')
  sleep 4
  connection.publish(name, 'still here')
  expect('body', heard(connection).body, 'still here')
  connection.disconnect
end

puts "done #{$reported}"
exit! 0
