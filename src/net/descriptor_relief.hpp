// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/execution_context.hpp>
#include <boost/intrusive/list.hpp>

namespace culvert::net {

/// Who has descriptors that are worth less than those of new connections: clients that say nothing, closed
/// ones that linger. Leaves by its destructor. All calls on the thread of the context.
class DescriptorHolder
    : public boost::intrusive::list_base_hook<boost::intrusive::link_mode<boost::intrusive::auto_unlink>> {
 public:
  virtual ~DescriptorHolder() = default;
  [[nodiscard]] virtual std::size_t held_descriptors() const = 0;
  /// Closes the one that it has held for longest, at once. Only called while it holds some.
  virtual void give_up_oldest() = 0;
};

/// Takes descriptors back from the holders of one context when the process runs short of them.
class DescriptorRelief final : public boost::asio::execution_context::service {
 public:
  using key_type = DescriptorRelief;
  static boost::asio::execution_context::id id;

  explicit DescriptorRelief(boost::asio::execution_context& context);  ///< of() calls this
  [[nodiscard]] static DescriptorRelief& of(const boost::asio::any_io_executor& executor);

  void add(DescriptorHolder& holder) { holders_.push_back(holder); }

  /// After a connection was taken: if few are left, which connecting on behalf of clients needs, who holds
  /// most gives two up, unless that is about as few.
  void got(int descriptor);
  /// After one was refused for lack of them: whether one was given up. Of those who hold most.
  [[nodiscard]] bool make_room() { return take_one(0); }

 private:
  void shutdown() override {}
  bool take_one(std::size_t left);

  boost::intrusive::list<DescriptorHolder, boost::intrusive::constant_time_size<false>> holders_;
  std::size_t reserve_ = 0;
  std::size_t limit_ = 0;
};

}  // namespace culvert::net
