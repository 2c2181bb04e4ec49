// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include "proto/gateway/igd.hpp"
#include "proto/gateway/ssdp.hpp"

namespace culvert::gateway {
namespace {

const HttpUrl kFrom{IpAddress::v4(0xC0A80101), 5000, "/root/desc.xml"};

std::string url_text(std::string_view text) {
  const auto url = HttpUrl::parse(text);
  return url ? url->authority() + " " + url->path : "none";
}

TEST(GatewayUrl, IsReadWithALiteralHost) {
  EXPECT_EQ(url_text("http://192.168.1.1:5000/rootDesc.xml"), "192.168.1.1:5000 /rootDesc.xml");
  EXPECT_EQ(url_text("HTTP://192.168.1.1"), "192.168.1.1:80 /");
  EXPECT_EQ(url_text("http://192.168.1.1?x=1"), "192.168.1.1:80 /?x=1");
  EXPECT_EQ(url_text("http://[fe80::1%eth0]:80/a"), "[fe80::1]:80 /a");
  for (const char* bad :
       {"", "http://", "https://192.168.1.1/", "http://router/", "http://192.168.1.1:0/",
        "http://192.168.1.1:65536/", "http://192.168.1.1:80x/", "http://192.168.1.1/a b",
        "http://192.168.1.1/a\r\nX: y", "http://[192.168.1.1]/", "http://[::1/", "file:///etc"}) {
    EXPECT_EQ(url_text(bad), "none") << bad;
  }
  EXPECT_EQ(url_text("http://192.168.1.1/" + std::string(HttpUrl::kLongest, 'a')), "none");
}

TEST(GatewayUrl, ResolvesAtTheSameHostAlone) {
  EXPECT_EQ(kFrom.resolve("/ctl")->path, "/ctl");
  EXPECT_EQ(kFrom.resolve("ctl")->path, "/root/ctl");
  EXPECT_EQ(kFrom.resolve("http://192.168.1.1:6000/ctl")->port, 6000);
  EXPECT_FALSE(kFrom.resolve("http://192.168.1.2:6000/ctl"));
  EXPECT_FALSE(kFrom.resolve("//192.168.1.2/ctl"));
  EXPECT_FALSE(kFrom.resolve(""));
}

TEST(GatewaySsdp, Searches) {
  EXPECT_EQ(ssdp::search(ssdp::kGroupV4, ssdp::kRouters[1], 1),
            "M-SEARCH * HTTP/1.1\r\nHOST: 239.255.255.250:1900\r\nMAN: \"ssdp:discover\"\r\nMX: 1\r\n"
            "ST: urn:schemas-upnp-org:device:InternetGatewayDevice:1\r\n\r\n");
  EXPECT_TRUE(ssdp::search(ssdp::kGroupV6, ssdp::kRouters[1], 1).contains("HOST: [ff02::c]:1900\r\n"));
}

TEST(GatewaySsdp, HearsRoutersAlone) {
  const auto found = [](std::string_view text) {
    const auto url = ssdp::read_answer(as_bytes(text));
    return url ? url->authority() : "none";
  };
  const std::string st = "st:urn:schemas-upnp-org:device:InternetGatewayDevice:1\r\n";
  EXPECT_EQ(found("HTTP/1.1 200 OK\r\nLocation:  http://192.168.1.1:5000/d.xml \r\n" + st + "\r\n"),
            "192.168.1.1:5000");
  EXPECT_EQ(found("HTTP/1.0 200 OK\nLOCATION: http://192.168.1.1:1/\n" + st), "192.168.1.1:1");
  EXPECT_EQ(found("HTTP/1.1 404 No\r\nLocation: http://192.168.1.1:1/\r\n" + st), "none");
  EXPECT_EQ(found("NOTIFY * HTTP/1.1\r\nLocation: http://192.168.1.1:1/\r\n" + st), "none");
  EXPECT_EQ(found("HTTP/1.1 200 OK\r\nLocation: http://192.168.1.1:1/\r\nST: upnp:rootdevice\r\n\r\n"),
            "none");
  EXPECT_EQ(found("HTTP/1.1 200 OK\r\n" + st), "none");
  EXPECT_EQ(found(""), "none");
}

std::string described(std::string_view services, std::string_view base = "") {
  return "<?xml version=\"1.0\"?><root xmlns=\"urn:schemas-upnp-org:device-1-0\">" + std::string(base) +
         "<device><deviceType>urn:schemas-upnp-org:device:InternetGatewayDevice:1</deviceType><serviceList>" +
         std::string(services) + "</serviceList></device></root>";
}

std::string service(std::string_view type, std::string_view control) {
  return "<service><serviceType>urn:schemas-upnp-org:service:" + std::string(type) +
         "</serviceType><controlURL>" + std::string(control) +
         "</controlURL><SCPDURL>/x.xml</SCPDURL></service>";
}

TEST(GatewayIgd, FindsItsServices) {
  const auto device = igd::read_description(
      described(service("WANCommonInterfaceConfig:1", "/cif") + service("WANIPConnection:2", "ctl/ip") +
                service("WANIPv6FirewallControl:1", "http://192.168.1.1:6000/fw")),
      kFrom);
  ASSERT_TRUE(device);
  ASSERT_TRUE(device->connection && device->firewall);
  EXPECT_EQ(device->connection->control.path, "/root/ctl/ip");
  EXPECT_TRUE(device->connection->is_second_version());
  EXPECT_EQ(device->firewall->control.port, 6000);
  EXPECT_FALSE(device->other_connection);
}

TEST(GatewayIgd, ServicesOfOtherHostsAreNone) {
  EXPECT_FALSE(igd::read_description(described(service("WANIPConnection:1", "http://127.0.0.1/ctl")), kFrom));
  const auto device = igd::read_description(
      described(service("WANIPConnection:1", "/ctl"), "<URLBase>http://10.0.0.1/</URLBase>"), kFrom);
  ASSERT_TRUE(device);
  EXPECT_EQ(device->connection->control.host, kFrom.host);
}

TEST(GatewayIgd, ABadDescriptionIsAnError) {
  const std::string good = described(service("WANIPConnection:1", "/ctl"));
  EXPECT_TRUE(igd::read_description(good, kFrom));
  for (std::size_t length = 0; length < good.size(); ++length)
    (void)igd::read_description(std::string(good, 0, length), kFrom);
  for (const std::string& bad :
       {std::string(), std::string("<"), std::string("no XML"), std::string(1000, '<'), described(""),
        described(service("WANIPConnection:1", "")), described(service("WANIPConnection:1\" x=\"", "/ctl")),
        std::string(igd::kMostXml + 1, ' ')}) {
    EXPECT_FALSE(igd::read_description(bad, kFrom));
  }
  EXPECT_FALSE(
      igd::read_description(described(service("WANIPConnection:1", "/" + std::string(5000, 'a'))), kFrom)
          .value_or(igd::Device{})
          .firewall);
}

TEST(GatewayIgd, ActionsAreEscaped) {
  const std::vector<igd::Argument> arguments = {{"A", "<&>"}, {"B", ""}};
  const std::string body = igd::action_body("urn:x", "Do", arguments);
  EXPECT_TRUE(body.contains("<u:Do xmlns:u=\"urn:x\"><A>&lt;&amp;&gt;</A><B></B></u:Do>"));
}

TEST(GatewayIgd, RepliesHaveValuesOrAnError) {
  const auto done = igd::read_reply(
      "<s:Envelope><s:Body><u:R><NewReservedPort>1234</NewReservedPort></u:R></s:Body></s:Envelope>", true);
  ASSERT_TRUE(done);
  EXPECT_EQ(done->error, 0);
  EXPECT_EQ(done->values.at("NewReservedPort"), "1234");
  const std::string fault =
      "<s:Fault><detail><UPnPError><errorCode>725</errorCode><errorDescription>x</errorDescription></"
      "UPnPError>"
      "</detail></s:Fault>";
  EXPECT_EQ(igd::read_reply(fault, false)->error, igd::kPermanentOnly);
  EXPECT_TRUE(igd::describe(igd::kPermanentOnly).contains("725"));
  EXPECT_FALSE(igd::read_reply("no XML", false));
  EXPECT_FALSE(igd::read_reply("<errorCode>-1</errorCode>", false));
  EXPECT_FALSE(igd::read_reply("<errorCode>99999999999</errorCode>", false));
  EXPECT_TRUE(igd::read_reply({}, true));  // the parser would read where nothing is
}

}  // namespace
}  // namespace culvert::gateway
